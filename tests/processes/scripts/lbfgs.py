"""An optimizer that calls forward and backward itself, several times a step."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
x, y = torch.randn(64, 8), torch.randn(64, 1)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
losses = []


def closure():
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    return loss


for _ in range(12):
    losses.append(optimizer.step(closure).item())
print(json.dumps({"losses": losses}))
