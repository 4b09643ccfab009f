"""How long `fwtop compare` takes on two recordings of 100,000 steps: words, and the first screen.

The recordings have 500 trace windows of some 200 operators each, as a run of hours has. Whole
processes are timed, interpreter and imports included.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.commands import FWTOP, environment, timed
from tests.benchmarks.outcome import Outcome, figure
from tests.benchmarks.terminal import OnTerminal
from tests.recordings import MS, Spec, build

BAR_S = 2.0
STEPS, WINDOWS, OPERATORS = 100_000, 500, 180
VERDICT = b"slower"


def measure(options: argparse.Namespace) -> Outcome:
    """By turns: the words, and the screen up to its verdict."""
    rounds = 3 if options.quick else 7
    words_s, screen_s = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [str(recording(folder / f"{n}.fwtop", n)) for n in (0, 1)]
        environ = environment(folder)
        for _ in range(rounds):
            words_s.append(timed([FWTOP, "compare", *paths, "--json"], environ))
            with OnTerminal([FWTOP, "compare", *paths], environ) as screen:
                screen_s.append(screen.drawn([VERDICT]))
    return Outcome(
        "compare",
        f"`fwtop compare A B`: {STEPS:,} steps, {WINDOWS} windows of {OPERATORS} operators each, "
        f"{rounds} times by turns",
        [
            figure("first screen", "s", screen_s, BAR_S, "from the start to the verdict drawn"),
            figure("as JSON", "s", words_s),
        ],
    )


def recording(path: Path, number: int) -> Path:
    """A run; the second is 4 % slower."""
    step_ns = (100 + 4 * number) * MS
    build(path, Spec(steps=STEPS, seed=number, step_ns=step_ns, windows=WINDOWS))
    with sqlite3.connect(path) as db:
        db.executemany(
            "INSERT INTO operator_names (name, family) VALUES (?, ?)",
            [(f"aten::operator_{n}", ("matmul", "elementwise", "other")[n % 3])
             for n in range(OPERATORS)],
        )  # fmt: skip
        db.execute(
            "INSERT INTO operator_stats SELECT w.id, n.id, 'forward', 'cpu', 4,"
            " abs(random()) % 50000 + 100000, 200000, NULL, NULL FROM windows w"
            " JOIN operator_names n ON n.name LIKE 'aten::operator_%'"
        )
    db.close()
    return path


def main() -> int:
    """Measure once, without keeping the result."""
    outcome = measure(argparse.Namespace(quick=True))
    for row in outcome.figures:
        print(f"{row.name:<16}{row.median:6.2f} {row.unit}  {sorted(row.values)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
