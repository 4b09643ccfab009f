"""Intervals from series whose truth is known: they must hold it, and not by being wide."""

from __future__ import annotations

from math import sqrt
from random import Random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwtop.analysis.comparison.bootstrap import FEWEST_BLOCKS, Resampled, cut, quantile
from fwtop.analysis.comparison.significance import t_quantile

MS = 1_000_000


def series(count: int, alike: float, seed: int, level: float = 100 * MS) -> list[float]:
    """Steps that are each `alike` the one before (AR(1)); 3 % of spread, 2 % of them far out."""
    random = Random(seed)
    value = random.gauss(0, 1)
    found = []
    for _ in range(count):
        value = alike * value + sqrt(1 - alike * alike) * random.gauss(0, 1)
        step = level * (1 + 0.03 * value)
        found.append(step * random.uniform(1.5, 5) if random.random() < 0.02 else step)
    return found


@pytest.mark.parametrize(("count", "alike"), [(400, 0.0), (400, 0.5), (600, 0.9)])
def test_intervals_hold_the_truth_as_often_as_they_say(count: int, alike: float) -> None:
    """95 of 100 should; with 60 series, fewer than 53 would come about once in 200 times."""
    truth = quantile(series(100_000, alike, 0), 0.5) or 0.0
    held, widths = 0, []
    for seed in range(1, 61):
        values = series(count, alike, seed)
        estimate = Resampled(values, cut(values)).quantile(0.5)
        assert estimate is not None
        half = t_quantile(estimate.freedom) * estimate.error
        held += abs(estimate.value - truth) <= half
        widths.append(half / truth)
    assert held >= 53
    assert fmean(widths) < 0.05, "an interval that holds anything says nothing"


def test_steps_that_are_alike_tell_less() -> None:
    spread = [cut(series(2000, alike, 5)) for alike in (0.0, 0.9, 0.99)]
    assert spread[0].independent > 40
    assert spread[0].count > spread[2].count
    assert spread[1].independent > 2 * spread[2].independent
    assert not spread[0].alike


def test_a_drift_leaves_almost_no_independent_block() -> None:
    random = Random(3)
    drifting = [100 * MS * (1 + n / 1000) + random.gauss(0, MS) for n in range(1000)]
    blocks = cut(drifting)
    assert blocks.alike
    assert blocks.independent <= 4
    steady = [value - 100 * MS * n / 1000 for n, value in enumerate(drifting)]
    drifts = Resampled(drifting, blocks).mean()
    still = Resampled(steady, cut(steady)).mean()
    assert drifts is not None
    assert still is not None
    assert drifts.error > 20 * still.error


def test_too_few_steps_tell_nothing() -> None:
    blocks = cut([1.0] * (FEWEST_BLOCKS - 1))
    assert blocks.count == 0
    assert Resampled([1.0] * 7, blocks).quantile(0.5) is None
    assert Resampled([1.0] * 7, blocks).mean() is None
    assert cut([1.0] * FEWEST_BLOCKS).count == FEWEST_BLOCKS


def test_what_never_varies_has_no_error() -> None:
    resampled = Resampled([5.0] * 100, cut([5.0] * 100))
    for estimate in (resampled.quantile(0.5), resampled.quantile(0.95), resampled.mean()):
        assert estimate is not None
        assert (estimate.value, estimate.error) == (5.0, 0.0)


def test_the_mean_s_error_is_the_textbook_s_where_steps_are_independent() -> None:
    random = Random(11)
    values = [random.gauss(100, 10) for _ in range(3000)]
    estimate = Resampled(values, cut(values)).mean()
    assert estimate is not None
    assert estimate.value == pytest.approx(fmean(values))
    assert estimate.error == pytest.approx(10 / sqrt(3000), rel=0.35)


@given(st.lists(st.integers(0, 1 << 62).map(float), min_size=8, max_size=200))
@settings(max_examples=40)
def test_any_series_has_finite_figures(values: list[float]) -> None:
    blocks = cut(values)
    assert blocks.edges[0] == 0
    assert blocks.edges[-1] == len(values)
    assert 2 <= blocks.independent <= blocks.count
    estimate = Resampled(values, blocks).quantile(0.95)
    assert estimate is not None
    assert min(values) <= estimate.value <= max(values)
    assert 0 <= estimate.error < float("inf")
    assert estimate.freedom >= 1


@given(st.lists(st.integers(0, 100).map(float), min_size=1), st.floats(0, 1))
def test_the_quantile_is_reached_by_its_share(values: list[float], ratio: float) -> None:
    value = quantile(values, ratio)
    assert value is not None
    assert sum(one <= value for one in values) >= ratio * len(values) - 1e-9
    assert value in values
    assert quantile([], ratio) is None


def test_the_same_series_gives_the_same_figures() -> None:
    values = series(500, 0.5, 9)
    one, two = (Resampled(values, cut(values)).quantile(0.5) for _ in range(2))
    assert one == two
