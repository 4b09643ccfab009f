"""A schedule given as a Python number, and a shorter last batch: three recompiles."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Linear(32, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


@torch.compile(backend="aot_eager", dynamic=False)
def weighted_loss(prediction, target, weight):
    return (prediction - target).square().mean() * weight


losses = []
for number in range(20):
    batch = 16 if number < 16 else 8
    weight = (1.0, 0.5, 0.25)[min(number // 5, 2)]
    optimizer.zero_grad()
    loss = weighted_loss(model(torch.randn(batch, 32)), torch.randn(batch, 1), weight)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
counters = {kind: dict(counts) for kind, counts in torch._dynamo.utils.counters.items()}
compiles = [str(m.compile_id) for m in torch._dynamo.utils.get_compilation_metrics()]
print(json.dumps({"losses": losses, "counters": counters, "compiles": compiles}))
