"""Trains a small model under torch's profiler; writes the trace, and what torch says of it.

python profiled_training.py FOLDER [deep]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

STEPS = 3


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(1, 2, 3, padding=1, stride=2)
        self.one = nn.Linear(32, 32)
        self.norm = nn.LayerNorm(32)
        self.two = nn.Linear(32, 16)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        hidden = self.image(batch.view(-1, 1, 8, 8)).flatten(1)
        return self.two(self.norm(self.one(hidden)).relu())


def main(folder: Path, deep: bool) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), foreach=False)
    data = torch.utils.data.TensorDataset(torch.randn(64, 64), torch.randint(0, 16, (64,)))
    batches = iter(torch.utils.data.DataLoader(data, batch_size=8))
    spans: list[tuple[str, int, int]] = []

    def step() -> None:
        bounds = [time.time_ns()]
        inputs, labels = next(batches)
        bounds.append(time.time_ns())
        loss = nn.functional.cross_entropy(model(inputs), labels)
        bounds.append(time.time_ns())
        loss.backward()
        bounds.append(time.time_ns())
        optimizer.step()
        bounds.append(time.time_ns())
        optimizer.zero_grad()
        phases = ("input", "forward", "backward", "optimizer")
        spans.extend(zip(phases, bounds, bounds[1:]))  # noqa: B905 (Python 3.9 has no strict)

    step()
    spans.clear()
    with profile(
        activities=[ProfilerActivity.CPU],
        record_shapes=deep,
        profile_memory=deep,
        with_stack=deep,
        with_flops=deep,
        with_modules=deep,
    ) as profiler:
        for _ in range(STEPS):
            step()
    averages = profiler.key_averages()
    (folder / "told.json").write_text(
        json.dumps(
            {
                "steps": STEPS,
                "linears": 2,
                "spans": spans,
                "averages": {
                    a.key: (a.count, a.self_cpu_time_total, a.cpu_time_total) for a in averages
                },
                "memory": {a.key: a.self_cpu_memory_usage for a in averages if a.key != "[memory]"},
                "flops": {a.key: a.flops for a in averages},
            }
        )
    )
    profiler.export_chrome_trace(str(folder / "trace.json"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), "deep" in sys.argv)
