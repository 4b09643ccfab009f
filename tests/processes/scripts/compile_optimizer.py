"""The optimizer's step is compiled, and calls the optimizer hooks while it is traced."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


@torch.compile(backend="aot_eager")
def step():
    optimizer.step()


losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(torch.randn(16, 32)), torch.randn(16, 1))
    loss.backward()
    step()
    losses.append(loss.item())
counters = {kind: dict(counts) for kind, counts in torch._dynamo.utils.counters.items()}
compiles = [str(m.compile_id) for m in torch._dynamo.utils.get_compilation_metrics()]
print(json.dumps({"losses": losses, "counters": counters, "compiles": compiles}))
