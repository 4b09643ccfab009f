"""A branch on data in the loss breaks its graph, once."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Linear(32, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


@torch.compile(backend="aot_eager")
def clamped_loss(prediction, target):
    loss = (prediction - target).square().mean()
    if loss > 100:  # breaks here
        loss = loss.clamp(max=100)
    return loss * 2


losses = []
for _ in range(20):
    optimizer.zero_grad()
    loss = clamped_loss(model(torch.randn(16, 32)), torch.randn(16, 1))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
counters = {kind: dict(counts) for kind, counts in torch._dynamo.utils.counters.items()}
compiles = [str(m.compile_id) for m in torch._dynamo.utils.get_compilation_metrics()]
print(json.dumps({"losses": losses, "counters": counters, "compiles": compiles}))
