"""Runs of a side pooled: against resampling by hand, exact tables, and truths that are known."""

from __future__ import annotations

from itertools import combinations
from math import sqrt
from random import Random
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.comparison import repeats
from fwtop.analysis.comparison.bootstrap import Resampled, cut
from fwtop.analysis.comparison.noise import interval
from fwtop.analysis.comparison.repeats import (
    Measured,
    enough,
    estimates,
    of_one_side,
    rank_test,
    ranked,
)
from fwtop.analysis.comparison.significance import (
    Estimate,
    mann_whitney,
    t_two_sided,
    welch,
    welch_freedom,
)

values = st.floats(-1e9, 1e9)
measured = st.builds(
    Measured, values,
    st.none() | st.builds(Estimate, values, st.floats(0, 1e9), st.floats(1, 100)),
)  # fmt: skip
sides = st.lists(measured, min_size=1, max_size=6)


def run(seed: int, level: float, count: int = 200, spread: float = 0.02) -> list[float]:
    random = Random(seed)
    return [level * (1 + spread * random.gauss(0, 1)) for _ in range(count)]


def of_run(steps: list[float]) -> Measured:
    mean = Resampled(steps, cut(steps)).mean()
    return Measured(fmean(steps), mean)


def test_the_closed_form_is_what_resampling_runs_and_blocks_comes_to() -> None:
    """Runs with replacement, then blocks of steps with replacement within each, 20,000 times."""
    runs = [run(seed, level) for seed, level in enumerate((100, 104, 97, 101))]
    blocks = [[fmean(steps[at : at + 8]) for at in range(0, 200, 8)] for steps in runs]
    random = Random(1)
    found = []
    for _ in range(20_000):
        drawn = random.choices(blocks, k=4)
        found.append(fmean(fmean(random.choices(of, k=len(of))) for of in drawn))
    by_hand = pstdev(found)
    estimate = of_one_side([of_run(steps) for steps in runs])
    assert estimate is not None
    # A resample's spread is that of n - 1 of n runs, as if their mean were known.
    assert estimate.error * sqrt(3 / 4) == pytest.approx(by_hand, rel=0.05)
    assert 3 <= estimate.freedom < 4


def test_the_interval_holds_the_truth_where_runs_differ_more_than_their_steps() -> None:
    """An A/A pair: 6 % between runs, 2 % of 200 steps within. A single pair is overconfident."""
    random = Random(7)
    held = {1: 0, 3: 0}
    for _ in range(100):
        for count in held:
            two_sides = [
                [of_run(run(random.randrange(1 << 30), 100 * (1 + 0.06 * random.gauss(0, 1)), 64))
                 for _ in range(count)]
                for _ in range(2)
            ]  # fmt: skip
            both = estimates(*two_sides)
            assert both is not None
            within = interval(*both)
            assert within is not None
            held[count] += within.low <= 0 <= within.high
    assert held[3] >= 89, "of 100, 95 are expected, and fewer than 89 about once in 200 times"
    assert held[1] < 25, "what the steps tell is not how far runs differ"


def test_a_lone_run_varies_as_the_repeats_do() -> None:
    """By the textbook, 3 runs and a new one: s * sqrt(1 + 1/3), and two degrees of freedom."""
    both = estimates([Measured(value) for value in (9.0, 10.0, 11.0)], [Measured(10.0)])
    assert both is not None
    assert sqrt(both[0].error ** 2 + both[1].error ** 2) == pytest.approx(sqrt(4 / 3))
    assert welch_freedom(*both) == pytest.approx(2)
    turned = estimates([Measured(10.0)], [Measured(value) for value in (9.0, 10.0, 11.0)])
    assert turned is not None
    assert welch(*turned) == pytest.approx(welch(*both))


def test_a_lone_run_must_tell_what_the_repeats_do() -> None:
    told = Measured(10.0, Estimate(10.0, 0.1, 7))
    assert estimates([told, told], [Measured(10.0)]) is None
    assert estimates([Measured(10.0)], [Measured(11.0)]) is None
    assert estimates([told], [told]) == (told.within, told.within)
    assert estimates([], [told]) is None


def test_runs_that_happen_to_be_alike_promise_no_more_than_their_steps() -> None:
    alike = [Measured(10.0, Estimate(10.0, 0.3, 7))] * 4
    estimate = of_one_side(alike)
    assert estimate is not None
    assert estimate.error == pytest.approx(0.3 / 2)
    assert estimate.freedom == pytest.approx(28)


def test_figures_that_never_vary_have_no_error() -> None:
    both = estimates([Measured(3.0)] * 2, [Measured(4.0)] * 2)
    assert both is not None
    assert (both[0].error, both[1].error, welch(*both)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("one", "two", "possible"),
    [(1, 1, False), (2, 3, False), (3, 3, False), (2, 7, False), (3, 5, True), (4, 4, True)],
)
def test_a_rank_test_needs_orders_enough(one: int, two: int, possible: bool) -> None:
    least = rank_test(list(range(one)), list(range(10, 10 + two)))
    assert (least <= 0.05) == possible == ranked(one, two)


def test_the_rank_test_is_exact() -> None:
    """Against all 252 ways to deal ten values, some of which tie; and the table's U of 5 and 5."""
    pooled = [1.0, 2, 2, 3, 5, 5, 5, 8, 9, 10]
    one, two = [1.0, 2, 5, 5, 8], [2.0, 3, 5, 9, 10]
    rank = {value: fmean(at for at, v in enumerate(pooled, 1) if v == value) for value in pooled}
    sums = [sum(rank[pooled[at]] for at in chosen) for chosen in combinations(range(10), 5)]
    observed = abs(sum(rank[value] for value in one) - 27.5)
    as_far = sum(abs(total - 27.5) >= observed for total in sums)
    assert rank_test(one, two) == pytest.approx(as_far / 252)
    # U = 2 is significant at 5 % for 5 and 5, U = 3 is not; for 4 and 4, U = 1 is not: what
    # `comparison_noise.FEWEST_INDEPENDENT` rests on.
    assert rank_test([1, 2, 3, 5], [4, 6, 7, 8]) > 0.05
    assert rank_test([1, 2, 3, 4, 7], [5, 6, 8, 9, 10]) <= 0.05
    assert rank_test([1, 2, 3, 4, 8], [5, 6, 7, 9, 10]) > 0.05


def test_many_runs_come_near_the_normal_approximation() -> None:
    one = [float(n) for n in range(0, 32, 2)]
    two = [float(n) + 7.5 for n in range(0, 32, 2)]
    assert rank_test(one, two) == pytest.approx(mann_whitney(one, two), abs=0.01)


def test_few_runs_are_not_enough_to_call_a_difference_noise() -> None:
    assert not enough(2, 2)
    assert enough(2, 3)
    assert repeats.FEWEST_RUNS == 5
    # Three degrees of freedom, as its docstring says: 3.2 standard errors.
    assert t_two_sided(3.18, 5 - 2) == pytest.approx(0.05, abs=0.001)


@given(sides, sides)
def test_any_sides_give_an_answer(one: list[Measured], two: list[Measured]) -> None:
    both = estimates(one, two)
    if both is None:
        assert min(len(one), len(two)) == 1
        return
    assert all(estimate.error >= 0 and estimate.freedom > 0 for estimate in both)
    assert 0 <= welch(*both) <= 1
