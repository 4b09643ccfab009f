"""A child by os.fork in the midst of training, as a checkpoint in the background would be."""

import json
import os
import sys

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Linear(16, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
losses, statuses = [], []
for number in range(12):
    optimizer.zero_grad()
    loss = model(torch.randn(8, 16)).square().mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if number % 5 == 4:
        child = os.fork()
        if child == 0:
            for _ in range(3):
                model(torch.randn(8, 16)).sum().backward()
                optimizer.step()
            sys.stdout.flush()
            os._exit(7)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps({"losses": losses, "statuses": statuses}))
