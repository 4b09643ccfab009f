"""For torchrun: two ranks, gloo, and gradients averaged over them."""

import json
import os
import time

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
data = TensorDataset(torch.randn(320, 32), torch.randn(320, 1))
sampler = DistributedSampler(data, shuffle=False)
model = DistributedDataParallel(
    torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
losses = []
for x, y in DataLoader(data, batch_size=8, sampler=sampler):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
gathered = [None, None]
dist.all_gather_object(gathered, losses)
dist.barrier()
if rank == 0:
    print(json.dumps({"losses": gathered, "world": int(os.environ["WORLD_SIZE"])}))
time.sleep(0.3)  # Gloo's thread frees what was gathered; where it is late, torch aborts the process
dist.destroy_process_group()
