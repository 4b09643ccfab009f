import json
import sys

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
for number in range(20):
    optimizer.zero_grad()
    loss = model(torch.randn(2, 4)).square().mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    for line in range(500):
        print(f"step {number} line {line}", "x" * 200)
    sys.stderr.write(f"{number} " + "e" * 20000 + "\n")
print(json.dumps({"losses": losses}))
