import json

import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
ACCUMULATE = 4
loader = DataLoader(TensorDataset(torch.randn(384, 32), torch.randn(384, 1)), batch_size=8)
model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
losses = []
for number, (x, y) in enumerate(loader):
    loss = torch.nn.functional.mse_loss(model(x), y) / ACCUMULATE
    loss.backward()
    losses.append(loss.item())
    if (number + 1) % ACCUMULATE == 0:
        optimizer.step()
        optimizer.zero_grad()
print(json.dumps({"losses": losses}))
