"""The hooks' own cost: measured, and in the order of what it really is."""

from __future__ import annotations

import time

from fwtop_profilers import hook_cost
from fwtop_profilers.steps import StepTracker


def test_the_median_of_a_call() -> None:
    assert 1_000_000 <= hook_cost.calibrate(lambda: time.sleep(0.002), 2) < 100_000_000


def test_calls_are_counted_and_priced() -> None:
    steps = StepTracker()
    for _ in range(10):
        steps.input_begin(1)
        steps.input_end(8)
        steps.backward_begin()
        steps.backward_end()
    assert steps.hook_calls == 40
    assert steps.hook_cost_ns == 0  # not measured yet
    steps.hook_call_cost_ns = 500
    assert steps.hook_cost_ns == 20_000
