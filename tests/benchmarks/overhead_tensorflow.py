"""What being watched costs a TensorFlow step of about 5 ms: Keras' `fit`, and a loop by hand.

The turns and ratios are those of `overhead`.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.alternation import Pace
from tests.benchmarks.commands import SCRIPTS
from tests.benchmarks.outcome import Figure, Outcome
from tests.benchmarks.overhead import Bench, facts, figures_of, lengths

KINDS = {"fit": "fit", "loop": "custom loop"}


def configure(parser: argparse.ArgumentParser) -> None:
    """How long, and how often."""
    parser.add_argument("--tensorflow-cycles", type=int, default=10, help="of each start")
    parser.add_argument("--tensorflow-repeats", type=int, default=8, help="starts of the scripts")


def measure(options: argparse.Namespace) -> Outcome:
    """Both kinds of loop, one after the other."""
    pace = Pace(12 if options.quick else options.tensorflow_cycles)
    count = 2 if options.quick else options.tensorflow_repeats
    figures: list[Figure] = []
    told = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, words in KINDS.items():
            script = [str(SCRIPTS / "tensorflow_steps.py"), "--kind", kind]
            taken = Bench(Path(name), script).repeats(count, pace)
            told[kind] = facts(taken)
            figures += [replace(one, name=f"{words}: {one.name}") for one in figures_of(taken)]
    return Outcome(
        "overhead_tensorflow",
        f"a small dense network on one CPU thread, {lengths(count, pace)}",
        figures,
        {"repeats": told},
    )
