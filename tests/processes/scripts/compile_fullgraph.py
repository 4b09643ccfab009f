"""fullgraph=True raises on any graph break, so a hook that Dynamo sees would end this."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
network = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)


@torch.compile(fullgraph=True, backend="aot_eager")
def loss_of(x, y):
    hidden = network(x.to(torch.float32))
    return torch.nn.functional.mse_loss(hidden, y.to(hidden.dtype))


losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = loss_of(torch.randn(16, 32), torch.randn(16, 1))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
counters = {kind: dict(counts) for kind, counts in torch._dynamo.utils.counters.items()}
compiles = [str(m.compile_id) for m in torch._dynamo.utils.get_compilation_metrics()]
print(json.dumps({"losses": losses, "counters": counters, "compiles": compiles}))
