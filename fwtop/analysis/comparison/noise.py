"""When a difference between two sides counts, when it is noise, and when nothing can be said.

Three things make a difference noise, and each is enough:

- the figures vary as much anyway (an interval that holds 0, or a p value above 5 %): within the
  runs, and with repeats of a side between them (`fwtop.analysis.comparison.repeats`);
- it is below `SMALLEST`, where both sides are single runs: nothing tells how far runs of the same
  program differ then, and layout and environment alone move them by about as much (Mytkowicz and
  others, "Producing Wrong Data Without Doing Anything Obviously Wrong!", 2009);
- other programs held the host's cores, and could have made it: a share c of cores that are all
  busy stretches a run by up to 1 / (1 - c), as a fair scheduler divides them. Repeats show by how
  much they did; only what they held more of one side's cores than of the other's counts then.

To call a difference noise is to say that it was looked for and not found. With fewer than
`FEWEST_INDEPENDENT` blocks of steps, or `repeats.FEWEST_RUNS` runs, hardly any could be found:
what does not stand is unknown there, and not noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

from fwtop.analysis.comparison import repeats
from fwtop.analysis.comparison.bootstrap import FEWEST_BLOCKS
from fwtop.analysis.comparison.facts import SideFacts
from fwtop.analysis.comparison.model import Change, Interval
from fwtop.analysis.comparison.significance import LEVEL, Estimate, t_quantile, welch, welch_freedom

SMALLEST = 0.01
"""Ratio below which a difference between single runs is noise, whatever the interval."""
FULL_CONTENTION = 0.95
"""More is never assumed: the run got something done."""
FEWEST_INDEPENDENT = 5
"""Independent blocks of steps a run, from which its steps may call a difference noise. A rank test
of 3 against 3 can find nothing (of 20 orders, 2 are as far apart as can be: 10 %), and one of 4
against 4 only where every block of one run is slower than every one of the other: one pair out of
order turns any slowdown into noise. From 5 a side, two pairs may be."""

READ_ONCE = "read once a run"
"""Of a figure, so that nothing tells how far it varies."""
FEW_STEPS = "too few steps"
DRIFTING = "steps drift"
FEW_RUNS = "too few runs"


@dataclass(frozen=True)
class Tolerance:
    """The ratios of a time that other things than the program can make."""

    low: float
    """At most 0."""
    high: float

    def holds(self, ratio: float) -> bool:
        """Whether a difference of this ratio need not be the program's."""
        return self.low <= ratio <= self.high

    def contended(self, ratio: float) -> bool:
        """Whether other programs, and not `SMALLEST`, set the bound on this ratio's side."""
        return (self.high if ratio > 0 else -self.low) > SMALLEST


STILL = Tolerance(-SMALLEST, SMALLEST)
"""Of what other programs cannot stretch, between single runs."""
NOTHING = Tolerance(0.0, 0.0)
"""The same with repeats, which tell how far runs differ."""


def tolerance(one: SideFacts, two: SideFacts, several: bool) -> Tolerance:
    """What is tolerated of a time in `two` against `one`; `several` as in `still`."""
    before = min(FULL_CONTENTION, one.contention_ratio or 0.0)
    after = min(FULL_CONTENTION, two.contention_ratio or 0.0)
    if several:
        more = (1 - before) / (1 - after) - 1
        return Tolerance(min(0.0, more), max(0.0, more))
    return Tolerance(low=-max(SMALLEST, before), high=max(SMALLEST, after / (1 - after)))


def still(several: bool) -> Tolerance:
    """What is tolerated of a figure that other programs cannot stretch.

    `several` says whether one of the sides has several runs that tell the figure.
    """
    return NOTHING if several else STILL


def repeated(one: SideFacts, two: SideFacts) -> bool:
    """Whether the spread of steps between runs is known, from either side."""
    return max(one.stepped, two.stepped) > 1


def too_little(one: SideFacts, two: SideFacts) -> str | None:
    """Why the steps of two sides cannot call a difference noise; None where they can."""
    if repeated(one, two):
        return None if repeats.enough(one.stepped, two.stepped) else FEW_RUNS
    fewest = min((one, two), key=lambda side: side.independent_blocks)
    if fewest.independent_blocks >= FEWEST_INDEPENDENT:
        return None
    blocks = fewest.longest.resampled.blocks
    return DRIFTING if blocks.alike and blocks.count >= FEWEST_BLOCKS else FEW_STEPS


def inverse(tolerated: Tolerance) -> Tolerance:
    """The same for a rate, which is one over a time."""
    return Tolerance(1 / (1 + tolerated.high) - 1, 1 / (1 + tolerated.low) - 1)


def interval(one: Estimate, two: Estimate) -> Interval | None:
    """The 95 % interval of `two` over `one`, less 1; None where one of them is not above 0.

    On a scale of logarithms, so that it is the same seen from the other run.
    """
    if one.value <= 0 or two.value <= 0:
        return None
    a = Estimate(0, one.error / one.value, one.freedom)
    b = Estimate(0, two.error / two.value, two.freedom)
    half = min(50.0, t_quantile(welch_freedom(a, b)) * sqrt(a.error**2 + b.error**2))
    middle = log(two.value) - log(one.value)
    return Interval(exp(min(700.0, middle - half)) - 1, exp(min(700.0, middle + half)) - 1)


def plain_change(one: float, two: float, unsure: str = READ_ONCE) -> Change:
    """A change of which nothing tells whether it is noise, but that none is none."""
    return Change(
        delta=two - one,
        ratio=ratio_of(one, two),
        interval=None,
        p_value=None,
        noise=True if one == two else None,
        unsure=None if one == two else unsure,
    )


def sampled_change(
    one: Estimate,
    two: Estimate,
    tolerated: Tolerance,
    p_value: float | None = None,
    too_little: str | None = None,
) -> Change:
    """A change of two estimates; `p_value` is of a rank test, else that of a t test is taken.

    `too_little` is why it cannot be called noise, if it cannot.
    """
    ratio = ratio_of(one.value, two.value)
    within = interval(one, two)
    p = welch(one, two) if p_value is None else p_value
    by_chance = p >= LEVEL or (within is not None and within.low <= 0 <= within.high)
    noise = by_chance or (ratio is not None and tolerated.holds(ratio))
    # What other programs can do, more steps of the same run would not tell apart.
    unsure = too_little if by_chance and two.value != one.value else None
    return Change(
        two.value - one.value, ratio, within, p, None if unsure else noise, unsure
    )  # fmt: skip


def ratio_of(one: float, two: float) -> float | None:
    """How much more `two` is than `one`, of `one`."""
    return (two - one) / one if one else (0.0 if two == one else None)
