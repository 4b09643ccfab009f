"""Three epochs of ten steps, and between them an evaluation that is slower than an epoch."""

import json
import time

import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
training = TensorDataset(torch.randn(160, 32), torch.randn(160, 1))
held_out = TensorDataset(torch.randn(64, 32), torch.randn(64, 1))
model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses, judged = [], []


@torch.no_grad()
def evaluate():
    model.eval()
    total = 0.0
    for x, y in DataLoader(held_out, batch_size=16):
        total += torch.nn.functional.mse_loss(model(x), y).item()
        time.sleep(0.1)  # a metric that is slow to compute
    model.train()
    return total


for _ in range(3):
    for x, y in DataLoader(training, batch_size=16, shuffle=True):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    judged.append(evaluate())
print(json.dumps({"losses": losses, "judged": judged}))
