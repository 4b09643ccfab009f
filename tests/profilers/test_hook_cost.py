"""The hooks' own cost: measured, and in the order of what it really is."""

from __future__ import annotations

from itertools import accumulate

import pytest

from fwtop_profilers import hook_cost
from fwtop_profilers.steps import StepTracker


def test_the_median_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds_ns = [900, 100, 120, 110, 8_000, 130, 90, 140, 150]
    clock = accumulate(part for took in rounds_ns for part in (50, took))
    monkeypatch.setattr(hook_cost, "now_ns", lambda: next(clock))
    rehearsals: list[None] = []
    assert hook_cost.calibrate(lambda: rehearsals.append(None), 2) == 130 // 2
    assert len(rehearsals) == len(rounds_ns) + 1


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
