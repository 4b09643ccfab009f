"""Dynamic shapes from the start: one compile for many batch sizes."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
network = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
model = torch.compile(network, backend="aot_eager", dynamic=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
losses = []
for number in range(20):
    batch = 8 + number % 7
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(torch.randn(batch, 32)), torch.randn(batch, 1))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
counters = {kind: dict(counts) for kind, counts in torch._dynamo.utils.counters.items()}
compiles = [str(m.compile_id) for m in torch._dynamo.utils.get_compilation_metrics()]
print(json.dumps({"losses": losses, "counters": counters, "compiles": compiles}))
