"""Lost step time per trace window, and the mean step at a budget, for each way of tracing.

    python tests/benchmarks/window_cost.py [--windows 60] [--seconds 20]

Steps of some 10 ms and 3,700 events, one thread. `lost` is the time of a window's step and the ten
after it, beyond eleven median steps without a window, the ways alternating so that a noisy machine
is noisy for all of them. `ratio` is the mean step under the governor at 1 % divided by the mean
without windows, in alternating stretches; `cpu_mean` is the same of the process's CPU time, which
a busy machine disturbs less. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "profilers"))

import torch

from fwtop_profilers import wire
from fwtop_profilers.config import ProbeConfig
from fwtop_profilers.probe import Context
from fwtop_profilers.tape import Tape
from fwtop_profilers.torch import kineto, profiler_abi, windows

AFTER = 10


class Sent:
    """A sender that keeps what it is given, and deletes the traces as a recorder does."""

    cpu_ns = 0
    """Of a thread that it does not have."""

    def __init__(self) -> None:
        self.windows: list[wire.Window] = []

    def send(self, message: Any) -> None:
        if isinstance(message, wire.Window):
            self.windows.append(message)
            Path(message.path).unlink()


def stepper() -> Callable[[], None]:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers = [
        torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.LayerNorm(32), torch.nn.GELU())
        for _ in range(40)
    ]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), foreach=False)
    data = torch.randn(8, 32)

    def step() -> None:
        optimizer.zero_grad()
        model(data).square().mean().backward()
        optimizer.step()

    return step


def lost(step: Callable[[], None], count: int, folder: str) -> dict[str, dict[str, float]]:
    """Milliseconds lost per window, by way."""
    ways: dict[str, Any] = {"none": None, "plain": kineto.PlainWay(torch)}
    ways["plain, saved by a thread"] = ways["plain"]
    if profiler_abi.may_work(torch):
        ways["gil released"] = profiler_abi.GilReleasedWay(torch)
    path = os.path.join(folder, "trace.json")
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(count):
        for name, way in ways.items():
            before = time.perf_counter()
            if way is not None:
                way.start(kineto.Detail(False, False))
            step()
            thread = None
            if way is not None:
                results = [way.stop()]
                thread = threading.Thread(target=lambda w=way, r=results: w.save(r.pop(), path))
                thread.start()
                if name == "plain":
                    thread.join()
            for _ in range(AFTER):
                step()
            times[name].append(1e3 * (time.perf_counter() - before))
            if thread is not None:
                thread.join()
    base = statistics.median(times.pop("none"))
    return {
        "step_ms": {"median": base / (AFTER + 1)},
        **{name: _spread([one - base for one in values]) for name, values in times.items()},
    }


def ratio(step: Callable[[], None], seconds: float, folder: str) -> dict[str, Any]:
    """Mean step with windows over mean step without, in alternating stretches of a second."""
    sent = Sent()
    config = ProbeConfig("none", folder, "bench", 0.01)
    context = Context(config, sent, Tape("call:bench"))  # type: ignore[arg-type]
    means: dict[bool, list[float]] = {False: [], True: []}
    busy: dict[bool, list[float]] = {False: [], True: []}
    uninstall = windows.install(context)
    tape = context.tape
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for on in (False, True):
            until, count, began = time.monotonic() + 1, 0, time.perf_counter()
            began_cpu = time.process_time()
            while time.monotonic() < until:
                if on:
                    tape.unit_begin(1)
                step()
                if on:
                    tape.unit_end(1)
                count += 1
            means[on].append((time.perf_counter() - began) / count)
            busy[on].append((time.process_time() - began_cpu) / count)
    uninstall()
    ratios = [on / off for on, off in zip(means[True], means[False], strict=True)]
    return {
        "way": windows.describe(),
        "windows": len(sent.windows),
        "wall": _spread(ratios),
        "cpu_mean": round(sum(busy[True]) / sum(busy[False]), 4),
    }


def _spread(values: list[float]) -> dict[str, float]:
    quarters = statistics.quantiles(values, n=4)
    return {
        "median": round(quarters[1], 3),
        "p25": round(quarters[0], 3),
        "p75": round(quarters[2], 3),
        "mean": round(statistics.fmean(values), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    step = stepper()
    for _ in range(30):
        step()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        result = {
            "torch": torch.__version__,
            "lost_ms": lost(step, options.windows, folder),
            "step_ratio": ratio(step, options.seconds, folder),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
