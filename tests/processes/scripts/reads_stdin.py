import json
import sys

import torch

torch.manual_seed(int(sys.stdin.readline()))
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
losses = []
for line in sys.stdin:
    optimizer.zero_grad()
    loss = model(torch.full((2, 4), float(line))).square().mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(json.dumps({"losses": losses}))
