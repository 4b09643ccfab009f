"""What being watched costs a TensorFlow step of about 5 ms: Keras' `fit`, and a loop by hand.

The rounds and ratios are those of `overhead`.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.commands import SCRIPTS
from tests.benchmarks.outcome import Figure, Outcome
from tests.benchmarks.overhead import Bench, by_turns, figures_of

VARIANTS = ["plain", "fwtop", "fwtop-0"]
KINDS = {"fit": "fit", "loop": "custom loop"}


def configure(parser: argparse.ArgumentParser) -> None:
    """How long, and how often."""
    parser.add_argument("--tensorflow-seconds", type=float, default=40, help="of each run")
    parser.add_argument("--tensorflow-rounds", type=int, default=5)


def measure(options: argparse.Namespace) -> Outcome:
    """Both kinds of loop, one after the other."""
    seconds = 8.0 if options.quick else options.tensorflow_seconds
    rounds = 1 if options.quick else options.tensorflow_rounds
    figures: list[Figure] = []
    runs = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, words in KINDS.items():
            script = [str(SCRIPTS / "tensorflow_steps.py"), "--kind", kind]
            runs[kind] = by_turns(Bench(Path(name), seconds, script), VARIANTS, rounds)
            figures += [replace(one, name=f"{words}: {one.name}") for one in figures_of(runs[kind])]
    return Outcome(
        "overhead_tensorflow",
        f"a small dense network on one CPU thread, {seconds:g} s a run, {rounds} rounds by turns",
        figures,
        {"runs": runs},
    )
