"""The tests of significance against tables, and what must hold for any samples."""

from __future__ import annotations

from itertools import combinations
from math import inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.comparison.significance import (
    Estimate,
    false_discoveries,
    mann_whitney,
    t_quantile,
    t_two_sided,
    welch,
    welch_freedom,
)

samples = st.lists(st.integers(0, 50).map(float), min_size=8, max_size=30)
estimates = st.builds(
    Estimate, st.floats(-1e12, 1e12), st.floats(0, 1e12), st.floats(1, 1e4)
)  # fmt: skip


@pytest.mark.parametrize(
    ("freedom", "level", "quantile"),
    [(1, 0.05, 12.706), (3, 0.05, 3.182), (7, 0.05, 2.365), (10, 0.01, 3.169), (30, 0.05, 2.042),
     (120, 0.05, 1.980), (inf, 0.05, 1.960)],
)  # fmt: skip
def test_student_s_quantiles_are_those_of_the_tables(
    freedom: float, level: float, quantile: float
) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2."""
    assert t_quantile(freedom, level) == pytest.approx(quantile, abs=6e-4)
    assert t_two_sided(t_quantile(freedom, level), freedom) == pytest.approx(level, rel=1e-6)


@pytest.mark.parametrize(
    "one", [[1, 2, 3, 4, 6, 7, 9, 12], [1, 3, 4, 5, 8, 9, 10, 13], [1, 3, 5, 7, 10, 12, 14, 16]]
)
def test_mann_whitney_agrees_with_the_exact_distribution(one: list[int]) -> None:
    """All 12,870 ways to rank eight against eight, counted."""
    two = [rank for rank in range(1, 17) if rank not in one]
    observed = abs(sum(one) - 68)
    as_far = sum(abs(sum(ranks) - 68) >= observed for ranks in combinations(range(1, 17), 8))
    assert mann_whitney(one, two) == pytest.approx(as_far / 12_870, abs=0.004)


def test_ties_are_corrected_for() -> None:
    """Two of the same three values on each side: by hand, with T = 3 * (4^3 - 4)."""
    one = [1.0, 1, 1, 2, 2, 2]
    two = [2.0, 3, 3, 3, 3, 1]
    # ranks: 1 is 2.5, 2 is 6.5, 3 is 10.5; the rank sum of one is 27; U = 6, mean 18
    variance = 36 / 12 * (13 - 3 * 60 / (12 * 11))
    z = (12 - 0.5) / variance**0.5
    assert mann_whitney(one, two) == pytest.approx(t_two_sided(z, inf))


@given(samples, samples, st.randoms(use_true_random=False))
def test_order_and_sides_do_not_matter(one: list[float], two: list[float], random) -> None:  # type: ignore[no-untyped-def]
    p_value = mann_whitney(one, two)
    assert 0 <= p_value <= 1
    assert isclose(mann_whitney(two, one), p_value)
    mixed = one.copy()
    random.shuffle(mixed)
    assert isclose(mann_whitney(mixed, two), p_value)


@given(samples, st.floats(0.05, 1))
def test_a_sample_does_not_differ_from_itself(one: list[float], worth: float) -> None:
    assert mann_whitney(one, one, worth) > 0.9


@given(samples, samples)
def test_values_that_are_worth_less_tell_less(one: list[float], two: list[float]) -> None:
    assert mann_whitney(one, two, 0.25) >= mann_whitney(one, two)


def test_what_is_all_above_differs() -> None:
    one = [float(n) for n in range(8)]
    assert mann_whitney(one, [value + 100 for value in one]) < 0.002
    assert mann_whitney([5.0] * 8, [6.0] * 8) < 0.002
    assert mann_whitney([5.0] * 8, [5.0] * 8) == 1
    assert mann_whitney([], [1.0]) == 1


@given(estimates, estimates)
def test_welch_is_a_probability_and_symmetric(one: Estimate, two: Estimate) -> None:
    p_value = welch(one, two)
    assert 0 <= p_value <= 1
    assert isclose(welch(two, one), p_value, rel_tol=1e-6, abs_tol=1e-12)
    if one.error or two.error:
        low = min(e.freedom for e in (one, two) if e.error)
        assert welch_freedom(one, two) >= low * (1 - 1e-9)


def test_estimates_without_error_differ_if_they_are_not_the_same() -> None:
    assert welch(Estimate(1, 0, 3), Estimate(1, 0, 3)) == 1
    assert welch(Estimate(1, 0, 3), Estimate(1.01, 0, 3)) == 0


def test_false_discoveries_are_those_of_the_paper() -> None:
    """Benjamini and Hochberg 1995, section 3.1: four of fifteen stand at 5 %."""
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
                0.4262, 0.5719, 0.6528, 0.7590, 1.0]  # fmt: skip
    assert false_discoveries(p_values) == [True] * 4 + [False] * 11
    assert false_discoveries(p_values[::-1]) == [False] * 11 + [True] * 4
    assert false_discoveries([]) == []
