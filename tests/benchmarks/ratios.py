"""How much slower one script's slices are than another's, and how sure that is. Pure figures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from tests.benchmarks.alternation import Slice

BLOCK = 20
"""Slices that are drawn together: neighbours share plain slices, the machine's mood, and the one
trace window that the budget allows in a second or more."""
RESAMPLES = 4000


@dataclass(frozen=True)
class Pair:
    """One slice's mean step, and the mean of the plain slices before and after it."""

    taken: float
    plain: float


def pairs(
    taken: Sequence[Slice], plain: Sequence[Slice], measure: Callable[[Slice], float]
) -> list[Pair]:
    """Those slices of `taken` that have plain ones on both sides, in time's order."""
    ordered = sorted(
        chain(((one, True) for one in taken), ((one, False) for one in plain)),
        key=lambda row: row[0].began_s,
    )
    rows = [(measure(one), is_taken) for one, is_taken in ordered]
    return [
        Pair(here, (before + after) / 2)
        for (before, left), (here, is_taken), (after, right) in zip(
            rows, rows[1:], rows[2:], strict=False
        )
        if is_taken and not left and not right
    ]


def mean_ms(slices: Sequence[Slice]) -> float:
    """The mean step of them all."""
    return 1e3 * sum(one.length_s for one in slices) / sum(len(one.ends_s) for one in slices)


def ratio(rows: Sequence[Pair]) -> float:
    """The ratio of the means. Nothing is trimmed: a trace window is in few slices."""
    return sum(row.taken for row in rows) / sum(row.plain for row in rows)


def interval_95(repeats: Sequence[Sequence[Pair]]) -> tuple[float, float]:
    """The ratio's percentile bootstrap interval, over blocks of slices of all repeats."""
    blocks = [rows[at : at + BLOCK] for rows in repeats for at in range(0, len(rows), BLOCK)]
    draw = random.Random(0)
    ratios = sorted(
        ratio(list(chain.from_iterable(draw.choices(blocks, k=len(blocks)))))
        for _ in range(RESAMPLES)
    )
    return ratios[round(0.025 * RESAMPLES)], ratios[round(0.975 * RESAMPLES) - 1]
