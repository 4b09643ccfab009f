"""The default backend, with a whole graph: C++ code on the CPU."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
network = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(network.parameters(), lr=0.01)


@torch.compile(fullgraph=True)
def loss_of(x, y):
    return (network(x) - y).square().mean()


losses = []
for _ in range(10):
    optimizer.zero_grad()
    loss = loss_of(torch.randn(16, 8), torch.randn(16, 1))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
counters = {kind: dict(counts) for kind, counts in torch._dynamo.utils.counters.items()}
compiles = [str(m.compile_id) for m in torch._dynamo.utils.get_compilation_metrics()]
print(json.dumps({"losses": losses, "counters": counters, "compiles": compiles}))
