"""Whether two samples differ: a rank test, a t test, and how to ask many questions at once.

Pure Python, because neither NumPy nor SciPy is needed elsewhere. Knows no step and no operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import erfc, exp, inf, isfinite, lgamma, log, log1p, sqrt

LEVEL = 0.05
"""How often one question may be answered "they differ" where they do not."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, how far it would vary if it were measured again, and how sure that is."""

    value: float
    error: float
    """Standard error, in the figure's unit."""
    freedom: float
    """Degrees of freedom of the error; at least 1."""


def mann_whitney(one: Sequence[float], two: Sequence[float], worth: float = 1.0) -> float:
    """The two-sided p value of the Mann-Whitney U test; 1 where nothing can be told.

    Normal approximation with continuity and tie correction (Mann and Whitney 1947; the correction
    for ties as in Lehmann, "Nonparametrics", 1975, section 1.4). Good from about 8 values a side.
    `worth` (0..1) is what a value is worth where values are like those before them: the statistic
    is scaled by its root, as if there were that many fewer.
    """
    n, m = len(one), len(two)
    if not n or not m:
        return 1.0
    pooled = sorted([(value, 0) for value in one] + [(value, 1) for value in two])
    rank_sum = 0.0  # of `one`, with the mean rank for those that tie
    ties = 0
    position = 0
    for _, group in groupby(pooled, key=lambda pair: pair[0]):
        sides = [side for _, side in group]
        count = len(sides)
        rank_sum += (count - sum(sides)) * (position + (count + 1) / 2)
        ties += count**3 - count
        position += count
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    distance = abs(rank_sum - n * (n + 1) / 2 - n * m / 2)
    z = max(0.0, distance - 0.5) / sqrt(variance) * sqrt(worth)
    return erfc(z / sqrt(2))


def welch(one: Estimate, two: Estimate) -> float:
    """The two-sided p value of Welch's t test on two independent estimates.

    Where neither varies, it is 0 for different values and 1 for the same.
    """
    error = sqrt(one.error**2 + two.error**2)
    if not error:
        return 1.0 if one.value == two.value else 0.0
    return t_two_sided((two.value - one.value) / error, welch_freedom(one, two))


def welch_freedom(one: Estimate, two: Estimate) -> float:
    """Degrees of freedom of a difference (Welch-Satterthwaite equation)."""
    if not one.error and not two.error:
        return inf
    # By shares of the variance, so that no power of a small error underflows.
    largest = max(one.error, two.error)
    parts = [(e.error / largest) ** 2 for e in (one, two)]
    below = parts[0] ** 2 / one.freedom + parts[1] ** 2 / two.freedom
    return (parts[0] + parts[1]) ** 2 / below


def false_discoveries(p_values: Sequence[float], level: float = LEVEL) -> list[bool]:
    """For each p value, whether it stands among so many: True is a difference.

    Of those called different, at most `level` are expected not to be (Benjamini and Hochberg,
    "Controlling the False Discovery Rate", 1995).
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    last = -1
    for rank, place in enumerate(order):
        if p_values[place] <= level * (rank + 1) / len(order):
            last = rank
    standing = set(order[: last + 1])
    return [place in standing for place in range(len(p_values))]


def t_two_sided(t: float, freedom: float) -> float:
    """The probability of a t at least as far from 0, by Student's distribution."""
    if not isfinite(t):
        return 0.0
    if freedom > 1e6:
        return erfc(abs(t) / sqrt(2))
    # https://dlmf.nist.gov/8.17 and Abramowitz and Stegun 26.7.1
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_quantile(freedom: float, level: float = LEVEL) -> float:
    """The t beyond which, on both sides together, `level` of Student's distribution lies."""
    low, high = 0.0, 1.0
    while t_two_sided(high, freedom) > level:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        if t_two_sided(middle, freedom) > level:
            low = middle
        else:
            high = middle
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x (https://dlmf.nist.gov/8.17#v), by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    result = d
    for m in range(1, 300):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            c = 1 + numerator / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            result *= c * d
        if abs(c * d - 1) < 1e-12:
            break
    return result
