"""When a difference between two runs counts, and when it is noise.

Three things make a difference noise, and each is enough:

- the figures vary as much within the runs (an interval that holds 0, or a p value above 5 %);
- it is below `SMALLEST`: with one run a side nothing tells how far runs of the same program differ,
  and layout and environment alone move them by about as much (Mytkowicz and others, "Producing
  Wrong Data Without Doing Anything Obviously Wrong!", 2009);
- other programs held the host's cores, and could have made it: a share c of cores that are all
  busy stretches a run by up to 1 / (1 - c), as a fair scheduler divides them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

from fwtop.analysis.comparison_facts import RunFacts
from fwtop.analysis.comparison_model import Change, Interval
from fwtop.analysis.significance import LEVEL, Estimate, t_quantile, welch, welch_freedom

SMALLEST = 0.01
"""Ratio below which a difference between single runs is noise, whatever the interval."""
FULL_CONTENTION = 0.95
"""More is never assumed: the run got something done."""


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
"""Of what other programs cannot stretch."""


def tolerance(one: RunFacts, two: RunFacts) -> Tolerance:
    """What is tolerated of a time in `two` against `one`."""
    before = min(FULL_CONTENTION, one.contention_ratio or 0.0)
    after = min(FULL_CONTENTION, two.contention_ratio or 0.0)
    return Tolerance(low=-max(SMALLEST, before), high=max(SMALLEST, after / (1 - after)))


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


def plain_change(one: float, two: float) -> Change:
    """A change of which nothing tells whether it is noise, but that none is none."""
    return Change(
        delta=two - one,
        ratio=ratio_of(one, two),
        interval=None,
        p_value=None,
        noise=True if one == two else None,
    )


def sampled_change(
    one: Estimate, two: Estimate, tolerated: Tolerance, p_value: float | None = None
) -> Change:
    """A change of two estimates; `p_value` is of a rank test, else that of a t test is taken."""
    ratio = ratio_of(one.value, two.value)
    within = interval(one, two)
    p = welch(one, two) if p_value is None else p_value
    noise = (
        p >= LEVEL
        or (within is not None and within.low <= 0 <= within.high)
        or (ratio is not None and tolerated.holds(ratio))
    )
    return Change(two.value - one.value, ratio, within, p, noise)


def ratio_of(one: float, two: float) -> float | None:
    """How much more `two` is than `one`, of `one`."""
    return (two - one) / one if one else (0.0 if two == one else None)
