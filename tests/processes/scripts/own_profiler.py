"""Profiles itself with torch.profiler, on a schedule, and says what it found."""

import json

import torch
from torch.profiler import ProfilerActivity, profile, schedule

torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
losses, reports = [], []


def report(profiler):
    calls = {row.key: row.count for row in profiler.key_averages()}
    reports.append(
        {name: calls.get(name, 0) for name in ("aten::addmm", "aten::relu", "aten::mse_loss")}
    )


with profile(
    activities=[ProfilerActivity.CPU],
    schedule=schedule(wait=5, warmup=1, active=3, repeat=4),
    on_trace_ready=report,
    record_shapes=True,
) as profiler:
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(torch.randn(16, 32)), torch.randn(16, 1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        profiler.step()
print(json.dumps({"losses": losses, "reports": reports}))
