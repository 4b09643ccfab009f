"""What `fwtop record` adds to a script that does nothing."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.commands import environment, record, timed
from tests.benchmarks.outcome import Outcome, figure

BAR_S = 0.6


def measure(options: argparse.Namespace) -> Outcome:
    """By turns: `python -c pass`, and the same under fwtop."""
    rounds = 3 if options.quick else 10
    added, plain_s, under_s = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = environment(folder)
        for number in range(rounds):
            path = folder / f"{number}.fwtop"
            plain_s.append(timed([sys.executable, "-c", "pass"], environ))
            under_s.append(timed([*record(path), "--", sys.executable, "-c", "pass"], environ))
            added.append(under_s[-1] - plain_s[-1])
    return Outcome(
        "startup",
        f"`fwtop record -- python -c pass` against `python -c pass`, {rounds} times by turns",
        [
            figure("added to the run", "s", added, BAR_S),
            figure("plain", "s", plain_s),
            figure("under fwtop", "s", under_s),
        ],
    )
