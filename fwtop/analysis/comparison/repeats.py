"""Figures of a side that was run several times: the spread between its runs enters their error.

Two runs of one program differ by more than the steps within either of them do: memory and code lie
elsewhere, caches and clocks are in another state, other programs come and go. So runs are resampled
first and then, in each, blocks of consecutive steps: the bootstrap of nested data (Davison and
Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8; for benchmarks Kalibera and
Jones, "Rigorous Benchmarking in Reasonable Time", 2013, section 6). What is resampled is a mean
over runs, of which the outer level's error is known in closed form, and that is taken: with n runs,
their standard deviation s and the errors e that `bootstrap` tells within each,

    error^2 = s^2 / n + (e_1^2 + … + e_n^2) / n^2

The steps' own spread is in s already and so counts twice. That is on purpose: two runs that happen
to be alike must not promise more than the steps in them do. Degrees of freedom by Satterthwaite
("An Approximate Distribution of Estimates of Variance Components", 1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, sqrt
from statistics import fmean, stdev

from fwtop.analysis.comparison.significance import LEVEL, Estimate

FEWEST_RUNS = 5
"""Of both sides together, from which a difference may be called noise: three degrees of freedom.
With two, an interval is 4.3 standard errors wide on each side, and with one 12.7: it holds 0
whatever was measured, and says nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure in one run."""

    value: float
    within: Estimate | None = None
    """With its error, where the run itself tells how far it varies."""


def estimates(one: Sequence[Measured], two: Sequence[Measured]) -> tuple[Estimate, Estimate] | None:
    """A figure of two sides, each with its error; None where nothing tells how far it varies.

    A side of a single run varies between runs as the other one does, relative to its figure, and it
    must tell of itself what the others do. Where both are single, nothing is known of the spread
    between runs, and the errors are of that within them.
    """
    if not one or not two:
        return None
    if len(one) == 1 and len(two) == 1:
        a, b = one[0].within, two[0].within
        return None if a is None or b is None else (a, b)
    if len(one) > 1 and len(two) > 1:
        return _repeated(one), _repeated(two)
    lone, others = (two[0], one) if len(two) == 1 else (one[0], two)
    if lone.within is None and any(other.within is not None for other in others):
        return None
    if len(two) == 1:
        return _repeated(one, _borrowing(len(one))), _single(two[0], one)
    return _single(one[0], two), _repeated(two, _borrowing(len(two)))


def of_one_side(runs: Sequence[Measured]) -> Estimate | None:
    """A figure of one side by itself; None where nothing tells how far it varies."""
    if len(runs) > 1:
        return _repeated(runs)
    return runs[0].within if runs else None


def enough(one: int, two: int) -> bool:
    """Whether so many runs a side may call a difference between them noise."""
    return one + two >= FEWEST_RUNS


def ranked(one: int, two: int) -> bool:
    """Whether a rank test over so many runs a side can find anything: 4 and 4, or 3 and 5."""
    return 2 / comb(one + two, one) <= LEVEL


def rank_test(one: Sequence[float], two: Sequence[float]) -> float:
    """The exact two-sided p value of the Mann-Whitney U test, for some runs a side.

    All ways to deal the ranks are counted (Mann and Whitney, 1947); what ties has its mean rank.
    """
    pooled = sorted([*one, *two])
    first: dict[float, int] = {}
    for place, value in enumerate(pooled):
        first.setdefault(value, place)
    # Twice the mean rank, so that it is whole.
    doubled = {value: 2 * place + pooled.count(value) + 1 for value, place in first.items()}
    middle = len(one) * (len(pooled) + 1)
    apart = abs(sum(doubled[value] for value in one) - middle)
    counts = _sums(tuple(doubled[value] for value in pooled), len(one))
    as_far = sum(count for total, count in counts.items() if abs(total - middle) >= apart)
    return as_far / comb(len(pooled), len(one))


@lru_cache(maxsize=64)
def _sums(ranks: tuple[int, ...], chosen: int) -> dict[int, int]:
    """How many ways there are to choose so many of the ranks, by their sum."""
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in range(chosen))]
    for rank in ranks:
        for size in range(chosen, 0, -1):
            for total, count in ways[size - 1].items():
                ways[size][total + rank] = ways[size].get(total + rank, 0) + count
    return ways[chosen]


def _repeated(runs: Sequence[Measured], worth: float = 1.0) -> Estimate:
    values = [run.value for run in runs]
    between = stdev(values) ** 2 / len(runs)
    return _with_within(fmean(values), between, (len(runs) - 1) * worth, runs)


def _single(run: Measured, others: Sequence[Measured]) -> Estimate:
    """A lone run, whose spread between runs is that of the other side's."""
    values = [other.value for other in others]
    middle = fmean(values)
    spread = stdev(values) * (abs(run.value / middle) if middle else 1.0)
    freedom = (len(others) - 1) * _borrowing(len(others))
    return _with_within(run.value, spread**2, freedom, [run])


def _borrowing(count: int) -> float:
    """What each side's degrees of freedom are worth if one spread is used on both.

    Welch's formula takes the two errors for independent, which would be worth more than the
    `count` - 1 that there are. With this factor it comes to just these.
    """
    a, b = 1 / count, 1.0
    return (a * a + b * b) / (a + b) ** 2


def _with_within(
    value: float, between: float, freedom: float, runs: Sequence[Measured]
) -> Estimate:
    inner = [run.within for run in runs if run.within is not None and run.within.error > 0]
    parts = [(between, freedom)]
    parts += [((one.error / len(runs)) ** 2, one.freedom) for one in inner]
    whole = sum(part for part, _ in parts)
    if not whole:
        return Estimate(value, 0.0, freedom)
    # By shares, so that no power of a small variance underflows.
    below = sum((part / whole) ** 2 / degrees for part, degrees in parts)
    return Estimate(value, sqrt(whole), 1 / below)
