import json

import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 10))
model.eval()
losses = []
with torch.inference_mode():
    for (x,) in DataLoader(TensorDataset(torch.randn(960, 64)), batch_size=32):
        losses.append(model(x).argmax(1).float().mean().item())
print(json.dumps({"losses": losses}))
