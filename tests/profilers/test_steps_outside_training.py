"""What is no training step, or counted another way: evaluation, pauses, inference, --step-on."""

from __future__ import annotations

import pytest

from fwtop_profilers import wire
from fwtop_profilers.steps import HOLD_NS, PAUSE_NS
from tests.profilers.step_script import EVAL, MS, phases, script

pytestmark = pytest.mark.usefixtures("told")


def test_evaluation_lies_in_no_step() -> None:
    run = script()
    for _ in range(2):
        for _ in range(3):
            run.step()
        run.exhaust()
        for _ in range(5):
            run.fetch(key=EVAL, grad=False)
            run.spend(100)
        run.exhaust(EVAL, grad=False)
    run.step()
    assert run.durations() == [36] * 7
    assert [record.flags for record in run.records()] == [0, 0, 0, 8, 0, 0, 8]


@pytest.mark.parametrize("broken_off", [False, True])
def test_evaluation_with_gradients_on_at_the_fetch(broken_off: bool) -> None:
    run = script()
    run.step()
    run.step()
    for _ in range(5):
        run.fetch(key=EVAL)
        run.spend(100)
    if not broken_off:
        run.exhaust(EVAL)
    run.step()
    assert run.durations() == [36] * 3
    assert [record.flags for record in run.records()] == [0, 0, wire.STEP_GAP]


def test_evaluation_before_training() -> None:
    run = script()
    for _ in range(3):
        run.fetch(key=EVAL, grad=False)
        run.spend(100)
    run.exhaust(EVAL, grad=False)
    for _ in range(3):
        run.step()
    assert run.durations() == [36] * 3
    assert run.steps.source == "optimizer"


def test_a_gap_is_told_and_the_step_begins_again() -> None:
    run = script()
    run.tape.optimizer_made()
    run.step()
    run.events.clear()
    run.fetch(key=EVAL, grad=False)
    run.fetch(key=EVAL, grad=False)
    run.step()
    assert run.events == [("gap", 1), ("begin", 1), ("end", 1), ("begin", 2)]


def test_a_pause_far_longer_than_usual_is_a_gap() -> None:
    run = script()
    for _ in range(20):
        run.step()
    run.spend(3 * PAUSE_NS / MS)
    run.step()
    assert run.durations() == [36] * 21
    assert run.records()[-1].flags == wire.STEP_GAP


def test_a_pause_in_every_step_is_no_gap() -> None:
    run = script()
    for _ in range(20):
        run.step(other=3 * PAUSE_NS / MS)
    assert {record.flags for record in run.records()} == {0}
    assert run.durations()[-1] == 36 + 3 * PAUSE_NS / MS


def test_inference_counts_batches_once_nothing_trains() -> None:
    run = script()
    batches = HOLD_NS // (50 * MS) + 10
    for _ in range(batches):
        run.fetch(grad=False)
        run.spend(49)
    run.exhaust(grad=False)
    assert run.steps.source == "input"
    assert len(run.records()) == batches
    assert set(run.durations()) == {50}
    assert {phases(record) for record in run.records()} == {(1, 49, None, None)}


def test_short_inference_is_counted_at_the_end() -> None:
    run = script()
    for _ in range(4):
        run.fetch(grad=False)
        run.spend(9)
    run.exhaust(grad=False)
    assert run.steps.drain() is None
    assert run.durations() == [10] * 4


def test_training_after_held_fetches_starts_at_index_0() -> None:
    run = script()
    for _ in range(4):
        run.fetch(key=EVAL)
    run.exhaust(EVAL)
    run.step()
    run.step()
    assert run.durations() == [36, 36]


@pytest.mark.parametrize("grad", [True, False])
def test_step_on_input(grad: bool) -> None:
    run = script("input")
    for _ in range(2):
        for _ in range(3):
            run.fetch(grad=grad)
            run.spend(9)
        run.exhaust(grad=grad)
        run.spend(1000)
    assert run.durations() == [10] * 6


def test_step_on_input_while_training() -> None:
    run = script("input")
    for _ in range(3):
        run.step(other=4)
    run.exhaust()
    run.fetch(key=EVAL, grad=False)
    run.fetch(key=EVAL, grad=False)
    assert run.durations() == [40] * 3
    assert phases(run.records()[0])[2:] == (20, 5)


def test_step_on_forward() -> None:
    run = script("forward")
    for _ in range(4):
        run.fetch()
        run.tape.unit_begin(7)
        run.tape.unit_begin(8)  # a layer within
        run.spend(10)
        run.tape.unit_end(8)
        run.tape.unit_end(7)
    assert run.durations() == [11] * 4
    assert {phases(record) for record in run.records()} == {(1, 10, None, None)}


def test_step_on_call() -> None:
    run = script("call:train:step")
    for _ in range(3):
        run.fetch()
        run.tape.unit_begin(1)
        run.spend(10)
        run.backward()
        run.optimize()
        run.tape.unit_end(1)
    assert run.durations() == [36] * 3
    assert {phases(record) for record in run.records()} == {(1, 10, 20, 5)}
