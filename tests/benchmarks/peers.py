"""What others cost the same training step, in the same rounds as fwtop: torch.profiler, TraceML.

torch.profiler as its tutorial has it (every step traced, `key_averages()` after each), and TraceML,
which sees no operators, in a virtual environment of its own.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from tests.benchmarks import overhead
from tests.benchmarks.outcome import Outcome

VARIANTS = ("plain", "fwtop", "torch.profiler", "traceml")


def configure(parser: argparse.ArgumentParser) -> None:
    """How long, and how often."""
    parser.add_argument("--peers-seconds", type=float, default=20, help="of each run")
    parser.add_argument("--peers-rounds", type=int, default=3)


def measure(options: argparse.Namespace) -> Outcome:
    """The rounds of `overhead`, with other variants."""
    mine = argparse.Namespace(
        quick=options.quick,
        overhead_seconds=options.peers_seconds,
        overhead_rounds=options.peers_rounds,
        overhead_variants=",".join(VARIANTS),
    )
    return replace(overhead.measure(mine), benchmark="peers")
