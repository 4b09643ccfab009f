"""Trains a small transformer, and times its own steps (see `step_times`).

    transformer_steps.py RESULT.json [--profile torch|traceml] [--layers N]

The timing is the same in every variant: from the end of one iteration to the end of the next, with
whatever a profiler does meanwhile. An untouched step takes about 5 ms on one core.
"""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import torch
from step_times import StepTimes
from torch import nn
from turns import Turns

parser = argparse.ArgumentParser()
parser.add_argument("result")
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--width", type=int, default=64)
parser.add_argument("--turns", type=int, default=0, help="in and out, in this process")
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--profile", choices=("none", "torch", "traceml"), default="none")
options = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(1)
LENGTH, SYMBOLS = 32, 64
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

times = Turns(options.result, options.turns) if options.turns else StepTimes(options.result)
with profiled() as profiler:
    over = False
    while not over:
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
            over = times.ended()
            if over:
                break
        del batches
times.write(value)
