"""What is made of a script's steps by turns, on steps whose costs are known."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

from tests.benchmarks import ratios
from tests.benchmarks.overhead_by_step import Taken, delay_a_step, hooks

STEP_S, HOOKS_S, SWITCH_S = 0.005, 0.000_025, 0.000_010
OUTER = (0, 1, 6, 7, 8)


def test_the_hooks_ratio_is_found_whoever_is_first_and_while_the_machine_slows_down() -> None:
    draw = random.Random(1)
    first_in = [draw.random() < 0.5 for _ in range(500)]
    is_in = [first == (place in OUTER) for first in first_in for place in range(9)]
    switched = [now != before for before, now in pairwise([True, *is_in])]
    steps_s = [
        (STEP_S + HOOKS_S * here) * (1 + number * 1e-5) + SWITCH_S * after_switch * (1 + here)
        for number, (here, after_switch) in enumerate(zip(is_in, switched, strict=True))
    ]
    rows = hooks(Taken(steps_s[:-1], first_in, [], [], 0.0, 0.0))
    assert len(rows) == 499
    assert abs(ratios.ratio(rows) - (1 + HOOKS_S / STEP_S)) < 1e-9


def test_the_threads_delay_is_that_of_the_steps_that_it_meets() -> None:
    met = set(range(10, 1000, 50))
    steps_s = [STEP_S + 0.001 * (number in met) for number in range(1000)]
    ends_s = list(accumulate([1.0, *steps_s]))
    rounds_s = [(ends_s[number] + 0.001, ends_s[number] + 0.002) for number in met]
    taken = Taken([], [], ends_s, rounds_s, 0.0, 0.0)
    assert abs(delay_a_step(taken) - 0.001 * len(met) / 1000) < 1e-9
    assert delay_a_step(Taken([], [], ends_s, [], 0.0, 0.0)) == 0.0
