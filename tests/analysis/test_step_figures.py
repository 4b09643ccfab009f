from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.steps import StepTotals, figures, minus, of_steps, plus
from fwtop.recording.model import Step

MS = 1_000_000


def step(index: int, duration_ns: int, input_ns: int | None = None, flags: int = 0) -> Step:
    return Step(1, index, 0, duration_ns, input_ns, None, None, None, None, flags, 32)


durations = st.lists(st.integers(0, 10**12), max_size=30)


def of(values: list[int]) -> StepTotals:
    return of_steps(step(n, value, value // 3) for n, value in enumerate(values))


@given(durations, durations)
def test_totals_add_up_and_subtract(one: list[int], two: list[int]) -> None:
    both = plus(of(one), of(two))
    assert both == of(one + two)
    left = minus(both, of(two))
    assert (left.count, left.duration_sum_ns, left.sketch) == (
        len(one),
        sum(one),
        of(one).sketch,
    )


def test_what_is_set_apart_does_not_move_the_figures() -> None:
    usual = [step(n, 10 * MS, 2 * MS) for n in range(1, 100)]
    apart = [step(0, 5_000 * MS, 2 * MS), step(100, 3_000 * MS, 2 * MS, flags=2)]
    found = figures(of_steps([*usual, *apart]), of_steps(apart))
    assert (found.count, found.steady_count, found.steady) == (101, 99, True)
    assert found.mean_ns == 10 * MS
    assert found.p95_ns == pytest.approx(10 * MS, rel=0.01)
    assert found.phases_ns == {"input": 2 * MS, "other": 8 * MS}
    assert found.steps_per_s == 100
    assert found.samples_per_s == pytest.approx(3200)
    assert found.total_ns == 99 * 10 * MS + 8_000 * MS
    assert found.set_apart_ns == 8_000 * MS


def test_where_every_step_is_set_apart_the_figures_are_of_all_and_say_so() -> None:
    every = of_steps([step(n, 10 * MS, flags=1) for n in range(4)])
    found = figures(every, every)
    assert (found.steady, found.steady_count, found.mean_ns) == (False, 4, 10 * MS)


def test_without_steps_nothing_is_known() -> None:
    found = figures(StepTotals(), StepTotals())
    assert (found.count, found.mean_ns, found.median_ns, found.phases_ns) == (0, None, None, {})
    assert found.steps_per_s is None


def test_a_phase_that_nothing_measures_is_absent() -> None:
    steps = [step(n, 10 * MS, input_ns=2 * MS) for n in range(2)]
    assert figures(of_steps(steps), StepTotals()).phases_ns == {"input": 2 * MS, "other": 8 * MS}


def test_without_a_known_phase_what_is_left_is_not_known() -> None:
    found = figures(of_steps([step(0, 10 * MS), step(1, 10 * MS)]), StepTotals())
    assert found.phases_ns == {}
