"""Mixed precision; two batches overflow, and GradScaler skips their optimizer steps."""

import json

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
losses, scales = [], []
for number in range(20):
    x, y = torch.randn(16, 32), torch.randn(16, 1)
    if number in (6, 13):
        x[0, 0] = float("inf")
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = torch.nn.functional.mse_loss(model(x).float(), y)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    losses.append(str(loss.item()))
    scales.append(scaler.get_scale())
print(json.dumps({"losses": losses, "scales": scales}))
