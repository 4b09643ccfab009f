"""How sure the figures of a series of steps are, although each step is like the one before.

A run's steps are no independent draws: machines warm up, other programs come and go, input stalls.
So blocks of consecutive steps are resampled as wholes (Künsch, "The Jackknife and the Bootstrap for
General Stationary Observations", 1989; non-overlapping blocks as in Carlstein 1986). Blocks grow
until each is no longer like its neighbour (Flyvbjerg and Petersen, "Error estimates on averages of
correlated data", 1989); where even the longest are, the errors grow by what the blocks are worth
less. The spread of a figure over the resamples is its standard error (Efron and Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 6), and intervals take Student's t with the blocks'
degrees of freedom, since few blocks tell little of their own spread.

Deterministic: the resamples are those of a fixed seed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import sqrt
from operator import mul
from random import Random
from statistics import fmean, median, pstdev

from fwtop.analysis.comparison.significance import Estimate

FEWEST_BLOCKS = 8
"""With fewer, nothing is said: the rank test's normal approximation fails below about 8."""
MOST_BLOCKS = 64
STEPS_A_BLOCK = 8
"""At first, where there are as many."""
RESAMPLES = 400
"""Efron and Tibshirani (section 6.4): seldom are more than 200 needed for a standard error."""

USUAL = (0.5, 0.95)
"""Quantiles that are asked for together."""


@dataclass(frozen=True)
class Blocks:
    """A series cut into blocks of consecutive values, as equal in length as can be."""

    edges: tuple[int, ...]
    """Where the blocks begin, and the series' length; empty where the series is too short."""
    independent: float
    """How many independent ones they are worth: k (1 - r) / (1 + r), r being the correlation of
    neighbours, where it is positive; at least 2."""
    alike: bool
    """Whether neighbours are alike still, and no longer blocks can be made."""

    @property
    def count(self) -> int:
        """How many there are."""
        return max(0, len(self.edges) - 1)

    @property
    def worth(self) -> float:
        """What a block is worth, 0..1."""
        return self.independent / self.count if self.count else 0.0


def cut(values: Sequence[float]) -> Blocks:
    """Blocks for a series in its order of time."""
    size = len(values)
    count = min(MOST_BLOCKS, max(FEWEST_BLOCKS, size // STEPS_A_BLOCK))
    if size < count:
        return Blocks((), 0.0, False)
    while True:
        edges = tuple(size * number // count for number in range(count + 1))
        correlation = _neighbours([median(part) for part in _parts(values, edges)])
        alike = correlation > 1.645 / sqrt(count)  # what 5 % of independent series would pass
        if not alike or count // 2 < FEWEST_BLOCKS:
            break
        count //= 2
    correlation = max(0.0, correlation)
    independent = max(2.0, count * (1 - correlation) / (1 + correlation))
    return Blocks(edges, independent, alike)


class Resampled:
    """The resamples of one series' blocks, from which each figure gets its error."""

    def __init__(self, values: Sequence[float], blocks: Blocks, seed: int = 1) -> None:
        self.values = values
        self.blocks = blocks
        self._seed = seed
        self._quantiles: dict[float, Estimate] = {}

    def quantile(self, ratio: float) -> Estimate | None:
        """The value at `ratio` (0..1) of the sorted ones; None where the series is too short."""
        if not self.blocks.count:
            return None
        if ratio not in self._quantiles:
            wanted = USUAL if ratio in USUAL else (ratio,)
            self._quantiles.update(zip(wanted, self._resampled_quantiles(wanted), strict=True))
        return self._quantiles[ratio]

    def _resampled_quantiles(self, ratios: Sequence[float]) -> list[Estimate]:
        """Several at once: what is dear is to count how far each resample has come."""
        order = sorted(range(len(self.values)), key=self.values.__getitem__)
        block_of = [0] * len(self.values)
        for number, (start, end) in enumerate(_pairs(self.blocks.edges)):
            block_of[start:end] = [number] * (end - start)
        blocks_in_order = [block_of[place] for place in order]
        found: list[list[float]] = [[] for _ in ratios]
        for weights in self._weights:
            reached = list(accumulate(map(weights.__getitem__, blocks_in_order)))
            for ratio, values in zip(ratios, found, strict=True):
                place = bisect_left(reached, max(1, ratio * reached[-1]))
                values.append(self.values[order[place]])
        return [
            self._estimate(self.values[order[_rank(ratio, len(order))]], values)
            for ratio, values in zip(ratios, found, strict=True)
        ]

    def mean(self, of: Sequence[float] | None = None) -> Estimate | None:
        """The mean of the series, or of another one of the same steps."""
        if not self.blocks.count:
            return None
        values = self.values if of is None else of
        sums = [float(sum(part)) for part in _parts(values, self.blocks.edges)]
        sizes = [end - start for start, end in _pairs(self.blocks.edges)]
        found = [
            sum(map(mul, weights, sums)) / sum(map(mul, weights, sizes))
            for weights in self._weights
        ]
        return self._estimate(fmean(values), found)

    @cached_property
    def medians(self) -> list[float]:
        """Of each block."""
        return [median(part) for part in _parts(self.values, self.blocks.edges)]

    @cached_property
    def _weights(self) -> list[list[int]]:
        """How often each block is in each resample."""
        random = Random(self._seed)
        count = self.blocks.count
        every = range(count)
        resamples = []
        for _ in range(RESAMPLES):
            weights = [0] * count
            for number in random.choices(every, k=count):
                weights[number] += 1
            resamples.append(weights)
        return resamples

    def _estimate(self, value: float, resampled: list[float]) -> Estimate:
        blocks = self.blocks
        # k - 1 of k: a resample's spread is of the blocks as if their mean were known.
        short = sqrt(blocks.count / (blocks.count - 1) / blocks.worth)
        return Estimate(value, pstdev(resampled) * short, max(1.0, blocks.independent - 1))


def quantile(values: Sequence[float], ratio: float) -> float | None:
    """The lower quantile of a series; None of an empty one."""
    return sorted(values)[_rank(ratio, len(values))] if values else None


def _rank(ratio: float, count: int) -> int:
    """Of `count` sorted values, the first that is reached by `ratio` of them."""
    return min(count - 1, max(0, -int(-ratio * count // 1) - 1))


def _neighbours(values: Sequence[float]) -> float:
    """The correlation of each value with the one before it; 0 where nothing varies."""
    middle = fmean(values)
    apart = [value - middle for value in values]
    spread = sum(map(mul, apart, apart))
    return sum(map(mul, apart, apart[1:])) / spread if spread > 0 else 0.0


def _pairs(edges: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(edges))


def _parts(values: Sequence[float], edges: Sequence[int]) -> list[Sequence[float]]:
    return [values[start:end] for start, end in _pairs(edges)]
