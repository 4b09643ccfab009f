"""The ratio of two scripts' slices, and its interval, on slices whose ratio is known."""

from __future__ import annotations

import random

from tests.benchmarks import ratios
from tests.benchmarks.alternation import Slice


def taken(began_s: float, step_s: float, steps: int = 50) -> Slice:
    """A slice of equal steps."""
    return Slice(began_s, steps * step_s / 2, [began_s + step_s * (n + 1) for n in range(steps)])


def by_turns(factor: float, rounds: int, noise: float = 0.0, seed: int = 0) -> list[ratios.Pair]:
    """Two scripts on a machine that grows slower by 1 % a slice."""
    draw = random.Random(seed)
    plain, watched = [], []
    for number in range(2 * rounds):
        step_s = 0.005 * (1 + 0.01 * number) * (1 + draw.gauss(0, noise))
        side = watched if number % 2 else plain
        side.append(taken(number * 0.6, step_s * (factor if number % 2 else 1)))
    return ratios.pairs(watched, plain, lambda one: one.step_s)


def test_a_machine_that_grows_slower_is_no_cost() -> None:
    assert abs(ratios.ratio(by_turns(1.0, 40)) - 1) < 1e-9
    assert abs(ratios.ratio(by_turns(1.02, 40)) - 1.02) < 1e-9


def test_a_slice_without_a_plain_one_on_either_side_is_left_out() -> None:
    assert len(by_turns(1.0, 40)) == 39
    slices = [taken(at, 0.005) for at in (0.0, 0.6, 1.2, 1.8)]
    assert ratios.pairs(slices[1:3], [slices[0], slices[3]], lambda one: one.step_s) == []


def test_the_interval_holds_the_ratio_and_narrows_with_more_slices() -> None:
    few = ratios.interval_95([by_turns(1.02, 100, 0.05)])
    many = ratios.interval_95([by_turns(1.02, 100, 0.05, seed) for seed in range(10)])
    assert few[0] < 1.02 < few[1]
    assert many[0] < 1.02 < many[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_a_slices_own_figures() -> None:
    one = Slice(10.0, 0.5, [10.1, 10.2, 11.0])
    assert round(one.step_s, 9) == round(1 / 3, 9)
    assert round(one.median_step_s, 9) == 0.1
    assert one.holds(10.5)
    assert not one.holds(11.1)
