"""Steps that a framework bounds itself or runs whole, event by event, under a test clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fwtop_profilers import wire
from fwtop_profilers.compiled_calls import MAX_ACCUMULATED
from fwtop_profilers.step_log import StepRecord
from fwtop_profilers.steps import HOLD_NS, PAUSE_NS
from fwtop_profilers.tape import Tape
from fwtop_profilers.whole_steps import WholeSteps
from tests.profilers import step_script

pytestmark = pytest.mark.usefixtures("told")


MS = 1_000_000
GAP = wire.STEP_GAP
TRAIN, ADAM, CRITIC = 100, 1, 2


class Script:
    """A pretended script: each call takes its time in milliseconds and reports the boundaries."""

    def __init__(self, step_on: str = "auto") -> None:
        self.now = 1_000 * MS
        self.thread = 1
        self.tape = Tape(step_on, lambda: self.now, lambda: self.thread)
        self.tape.wakes.append(step_script.told_from_ns)
        self.gaps: list[int] = []
        self.steps.on_gap.append(self.gaps.append)

    @property
    def steps(self) -> WholeSteps:
        """What the rules have found by now."""
        self.tape.play()
        return self.tape.steps

    def spend(self, ms: float) -> None:
        self.now += int(ms * MS)

    def fetch(self, ms: float = 1) -> None:
        self.tape.input_begin(TRAIN, True)
        self.spend(ms)
        self.tape.input_end(8)

    def batch(self, ms: float = 10, inside: Callable[[], None] = lambda: None) -> None:
        self.tape.batch_begin()
        inside()
        self.spend(ms)
        self.tape.batch_end(8)

    def judge(self, ms: float = 4) -> None:
        self.tape.judge_begin()
        self.spend(ms)
        self.tape.judge_end(8)

    def update(self, ms: float = 10, key: int = ADAM) -> None:
        self.tape.update_begin(key)
        self.spend(ms)
        self.tape.update_end(key)

    def gradients_and_update(self) -> None:
        """What an eager or PyTorch batch does: 3 ms forward, 5 backward, 2 optimizer."""
        self.spend(3)
        self.tape.backward_begin()
        self.spend(5)
        self.tape.backward_end()
        self.tape.optimizer_begin(ADAM)
        self.spend(2)
        self.tape.optimizer_end(ADAM)

    @property
    def records(self) -> list[StepRecord]:
        return self.steps.finished(0, 10_000)

    def durations(self) -> list[float]:
        return [(step.end_ns - step.start_ns) / MS for step in self.records]


@pytest.fixture
def script() -> Script:
    made = Script()
    made.tape.optimizer_made()
    return made


def test_batches_tile_the_time_and_know_no_phase(script: Script) -> None:
    for _ in range(3):
        script.batch(10)
        script.spend(2)
    assert script.durations() == [10, 12, 12]
    assert script.steps.source == "batch"
    for step in script.records:
        assert step.samples == 8
        assert (step.input_ns, step.forward_ns, step.backward_ns, step.optimizer_ns) == (None,) * 4


def test_boundaries_within_a_batch_are_phases_and_end_no_step(script: Script) -> None:
    for _ in range(3):
        script.fetch(1)
        script.batch(0, script.gradients_and_update)
    assert script.durations() == [11, 11, 11]
    last = script.records[-1]
    known = (last.input_ns, last.forward_ns, last.backward_ns, last.optimizer_ns)
    assert known == (1 * MS, 3 * MS, 5 * MS, 2 * MS)


def test_a_compiled_update_within_a_batch_leaves_phases_unknown(script: Script) -> None:
    script.batch(0, script.gradients_and_update)
    script.batch(0, script.update)
    first, second = script.records
    assert first.backward_ns == 5 * MS
    assert (second.forward_ns, second.backward_ns, second.optimizer_ns) == (None, None, None)


def test_evaluation_between_batches_is_in_no_step(script: Script) -> None:
    script.batch()
    script.spend(1)
    for _ in range(5):
        script.judge()
    script.tape.interrupted()
    script.spend(3)
    script.batch()
    assert script.durations() == [10, 10]
    assert [step.flags for step in script.records] == [0, GAP]
    assert script.gaps[0] == 1_011 * MS


def test_a_compile_of_the_evaluation_is_not_the_next_steps(script: Script) -> None:
    script.batch()
    script.judge()
    script.tape.flag(wire.STEP_COMPILED)
    script.batch()
    assert [step.flags for step in script.records] == [0, GAP]


def test_a_batch_that_found_no_data_is_no_step(script: Script) -> None:
    script.batch()
    script.tape.batch_begin()
    script.spend(30)  # the end of the data; `batch_end` is not told
    script.batch()
    assert script.durations() == [10, 10]


def test_a_long_pause_between_epochs_is_a_gap(script: Script) -> None:
    for _ in range(8):
        script.batch()
    script.spend(2 * PAUSE_NS / MS)
    script.batch()
    assert script.durations()[-1] == 10
    assert script.records[-1].flags == GAP


def test_prediction_alone_is_steps_once_it_has_lasted(script: Script) -> None:
    count = HOLD_NS // (100 * MS) + 1
    for _ in range(count):
        script.judge(100)
    assert len(script.records) >= count - 1
    assert script.steps.source == "batch"
    assert script.durations()[:2] == [100, 100]


def test_prediction_before_training_is_dropped(script: Script) -> None:
    for _ in range(3):
        script.judge()
    script.batch()
    script.tape.finish()
    assert script.durations() == [10]


def test_short_prediction_counts_when_the_process_ends(script: Script) -> None:
    for _ in range(3):
        script.judge()
    assert script.records == []
    script.tape.finish()
    assert script.durations() == [4, 4, 4]


def test_a_loop_of_the_scripts_own_after_fit_is_counted(script: Script) -> None:
    script.batch()
    script.tape.fit_end()
    script.spend(50)
    for _ in range(3):
        script.gradients_and_update()
    assert script.durations()[-2:] == [10, 10]
    assert script.steps.source == "optimizer"


def test_compiled_updates_end_steps_and_have_input(script: Script) -> None:
    for _ in range(3):
        script.fetch(2)
        script.update(10)
        script.spend(1)
    assert script.durations() == [12, 13, 13]
    for step in script.records:
        assert step.input_ns == 2 * MS
        assert (step.forward_ns, step.backward_ns, step.optimizer_ns) == (None, None, None)


def test_the_first_update_is_known_when_it_has_ended(script: Script) -> None:
    began = script.now
    script.spend(500)
    script.tape.update_begin(ADAM, began)
    script.tape.update_end(ADAM)
    script.update(10)
    assert script.durations() == [500, 10]


def test_two_compiled_updates_in_turn_are_one_step(script: Script) -> None:
    script.tape.optimizer_made()
    for _ in range(5):
        script.fetch()
        script.update(3, CRITIC)
        script.update(4, ADAM)
    script.tape.finish()
    assert script.durations()[-3:] == [8, 8, 8]


def test_compiled_gradients_with_an_eager_update(script: Script) -> None:
    for _ in range(3):
        script.tape.gradients_begin()
        script.spend(8)
        script.tape.gradients_end()
        script.tape.optimizer_begin(ADAM)
        script.spend(2)
        script.tape.optimizer_end(ADAM)
    assert script.durations() == [10, 10, 10]
    last = script.records[-1]
    assert (last.forward_ns, last.backward_ns, last.optimizer_ns) == (None, None, 2 * MS)


def test_accumulation_is_waited_for_while_an_optimizer_may_step(script: Script) -> None:
    script.steps.parameters_changed = lambda: False if script.steps.awaits_optimizer() else None
    for _ in range(3 * MAX_ACCUMULATED):
        script.tape.backward_begin()
        script.spend(5)
        script.tape.backward_end()
    assert script.steps.source == "backward"  # none ever did
    assert len(script.records) > MAX_ACCUMULATED


def test_what_the_user_chose_wins_over_batches() -> None:
    script = Script("optimizer")
    for _ in range(3):
        script.batch(1, script.gradients_and_update)
    assert script.steps.source == "optimizer"
    assert len(script.records) >= 2


def test_a_replicas_thread_counts_as_its_callers(script: Script) -> None:
    script.fetch(2)
    script.tape.compute_for(7, 1)
    script.thread = 7
    script.gradients_and_update()
    script.thread = 1
    assert script.records[0].input_ns == 2 * MS
