"""Trains until the file named first exists; writes the count of its steps to the file named second.

The losses of the first 50 steps are its result, whatever happens meanwhile.
"""

import itertools
import json
import sys
from pathlib import Path

import torch

stop, progress = Path(sys.argv[1]), Path(sys.argv[2])
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
losses = []
for number in itertools.count(1):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(torch.randn(128, 64)), torch.randn(128, 1))
    loss.backward()
    optimizer.step()
    if number <= 50:
        losses.append(loss.item())
    if number % 20 == 0:
        print(f"step {number}", flush=True)
    fresh = progress.with_suffix(".new")
    fresh.write_text(str(number))
    fresh.replace(progress)
    if number >= 50 and stop.exists():
        break
progress.with_suffix(".result").write_text(json.dumps({"steps": number, "losses": losses}))
print(json.dumps({"losses": losses}))
