"""Trains a small transformer, and times its own steps with `perf_counter`.

    transformer_steps.py RESULT.json --seconds N [--profile torch|traceml] [--layers N]

The timing is the same in every variant: from the end of one iteration to the end of the next, with
whatever a profiler does meanwhile. An untouched step takes about 10 ms on one core.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from itertools import pairwise
from typing import Any

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("result")
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--layers", type=int, default=3)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--batch", type=int, default=12)
parser.add_argument("--profile", choices=("none", "torch", "traceml"), default="none")
options = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(1)
LENGTH, SYMBOLS, WARM_UP_STEPS = 32, 64, 20
layer = nn.TransformerEncoderLayer(
    options.width, 4, 4 * options.width, dropout=0.0, batch_first=True, norm_first=True
)
model = nn.Sequential(
    nn.Embedding(SYMBOLS, options.width),
    nn.TransformerEncoder(layer, options.layers, enable_nested_tensor=False),
    nn.Linear(options.width, SYMBOLS),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
data = torch.randint(SYMBOLS, (options.batch * 64, LENGTH + 1))
loader = torch.utils.data.DataLoader(data, batch_size=options.batch, shuffle=True)


def profiled() -> Any:
    """torch.profiler on a continuous schedule, with the table that its tutorial prints."""
    if options.profile != "torch":
        return contextlib.nullcontext()
    return torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU],
        schedule=torch.profiler.schedule(wait=0, warmup=0, active=1, repeat=0),
        on_trace_ready=lambda profiler: profiler.key_averages().table(row_limit=10),
    )


def step_scope() -> Any:
    """What traceml asks its users to put around a step."""
    return traceml.trace_step(model) if options.profile == "traceml" else contextlib.nullcontext()


if options.profile == "traceml":
    import traceml_ai as traceml

    traceml.init(mode="auto")

ends: list[float] = []
cpu: list[float] = []  # of the whole process, so also of what a profiler's threads do
with profiled() as profiler:
    began = time.perf_counter()
    while time.perf_counter() - began < options.seconds:
        batches = iter(loader)
        for _ in range(len(loader)):
            with step_scope():
                batch = next(batches)
                logits = model(batch[:, :-1])
                loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                value = loss.item()
            if profiler is not None:
                profiler.step()
            ends.append(time.perf_counter())
            cpu.append(time.process_time())
            if ends[-1] - began >= options.seconds:
                break
        del batches

warm_up = min(WARM_UP_STEPS, len(ends) // 4)
ends, cpu = ends[warm_up:], cpu[warm_up:]
counted = [after - before for before, after in pairwise(ends)]
with open(options.result, "w") as file:
    json.dump(
        {
            "steps": len(counted),
            "mean_s": sum(counted) / len(counted),
            "median_s": sorted(counted)[len(counted) // 2],
            "largest_s": max(counted),
            "mean_cpu_s": (cpu[-1] - cpu[0]) / len(counted),
            "loss": value,
        },
        file,
    )
print(f"{len(counted)} steps, mean {1e3 * sum(counted) / len(counted):.3f} ms", file=sys.stderr)
