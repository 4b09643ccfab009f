"""Trains until told, and tells the NVML stand-in that it is on most of its eight GPUs."""

import itertools
import os
import sys
from pathlib import Path

import torch

stop, progress, gpus = (Path(word) for word in sys.argv[1:])
lines = [line for line in gpus.read_text().splitlines() if ".compute" not in line]
lines += [f"gpu.{gpu}.compute {os.getpid()}:58213" for gpu in range(6)]
fresh = gpus.with_suffix(".new")
fresh.write_text("\n".join(lines) + "\n")
fresh.replace(gpus)
torch.set_num_threads(1)
model = torch.nn.Linear(16, 16)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for number in itertools.count(1):
    optimizer.zero_grad()
    model(torch.randn(8, 16)).square().mean().backward()
    optimizer.step()
    progress.write_text(str(number))
    if stop.exists():
        break
