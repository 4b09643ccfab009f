"""The step tracker under a clock of the test's own: each kind of training loop, event by event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from fwtop_profilers import wire
from fwtop_profilers.step_log import StepRecord
from fwtop_profilers.steps import HOLD_NS, PAUSE_NS, StepTracker

MS = 1_000_000
TRAIN, EVAL = 100, 200
ADAM, G, D = 1, 2, 3


@dataclass
class Script:
    """A pretended script: each call takes its time in milliseconds and reports the boundaries."""

    steps: StepTracker
    now: int = 1_000 * MS
    thread: int = 1
    updated: bool = False
    """Whether parameters change without an optimizer step that could be seen."""
    events: list[tuple[str, int]] = field(default_factory=list)

    def spend(self, ms: float) -> None:
        self.now += int(ms * MS)

    def fetch(self, ms: float = 1, key: int = TRAIN, grad: bool = True, samples: int = 8) -> None:
        self.steps.input_begin(key, grad)
        self.spend(ms)
        self.steps.input_end(samples)

    def exhaust(self, key: int = TRAIN, grad: bool = True, ms: float = 0) -> None:
        self.steps.input_begin(key, grad)
        self.spend(ms)
        self.steps.input_end(None, more=False)

    def backward(self, ms: float = 20, inside: Callable[[], None] = lambda: None) -> None:
        self.steps.backward_begin()
        self.spend(ms)
        inside()
        self.steps.backward_end()

    def optimize(
        self, key: int = ADAM, ms: float = 5, inside: Callable[[], None] = lambda: None
    ) -> None:
        self.steps.optimizer_begin(key)
        inside()
        self.spend(ms)
        self.steps.optimizer_end(key)

    def step(self, other: float = 0) -> None:
        """An ordinary iteration: 1 ms input, 10 forward, 20 backward, 5 optimizer."""
        self.fetch()
        self.spend(10)
        self.backward()
        self.optimize()
        self.spend(other)

    def records(self) -> list[StepRecord]:
        self.steps.finish()
        return self.steps.finished(0, 1 << 60)

    def durations(self) -> list[float]:
        return [(record.end_ns - record.start_ns) / MS for record in self.records()]


def script(step_on: str = "auto") -> Script:
    made: list[Script] = []
    tracker = StepTracker(step_on, clock=lambda: made[0].now, thread=lambda: made[0].thread)
    made.append(Script(tracker))
    run = made[0]
    tracker.parameters_changed = lambda: run.updated
    tracker.on_step_begin.append(lambda index, start: run.events.append(("begin", index)))
    tracker.on_step_end.append(lambda index, *rest: run.events.append(("end", index)))
    tracker.on_gap.append(lambda at: run.events.append(("gap", tracker.index)))
    return run


def phases(record: StepRecord) -> tuple[float | None, ...]:
    values = (record.input_ns, record.forward_ns, record.backward_ns, record.optimizer_ns)
    return tuple(None if value is None else value / MS for value in values)


def test_plain_loop() -> None:
    run = script()
    for _ in range(4):
        run.step(other=2)
    assert run.durations() == [36, 38, 38, 38]  # what follows a step is the next one's `other`
    assert {phases(record) for record in run.records()} == {(1, 10, 20, 5)}
    assert [record.index for record in run.records()] == [0, 1, 2, 3]
    assert {record.samples for record in run.records()} == {8}
    assert {record.flags for record in run.records()} == {0}
    assert run.steps.source == "optimizer"


def test_steps_tile_the_time() -> None:
    run = script()
    for _ in range(5):
        run.step(other=7)
    records = run.records()
    assert [record.start_ns for record in records[1:]] == [record.end_ns for record in records[:-1]]


def test_a_step_is_told_at_its_end_where_one_optimizer_exists() -> None:
    run = script()
    run.steps.optimizer_made()
    run.step()
    assert run.events == [("begin", 0), ("end", 0), ("begin", 1)]


def test_no_dataloader_means_unknown_input_and_first_forward() -> None:
    run = script()
    for _ in range(3):
        run.spend(10)
        run.backward()
        run.optimize()
    assert [phases(record) for record in run.records()] == [
        (None, None, 20, 5),
        (None, 10, 20, 5),
        (None, 10, 20, 5),
    ]


def test_gradient_accumulation_is_one_step() -> None:
    run = script()
    for _ in range(3):
        for _ in range(4):
            run.fetch()
            run.spend(10)
            run.backward()
        run.optimize()
    assert run.durations() == [129, 129, 129]
    assert {phases(record) for record in run.records()} == {(4, 40, 80, 5)}
    assert {record.samples for record in run.records()} == {32}


def test_fetching_several_micro_batches_ahead() -> None:
    run = script()
    for _ in range(3):
        for _ in range(4):
            run.fetch()
        for _ in range(4):
            run.spend(10)
            run.backward()
        run.optimize()
    assert {phases(record) for record in run.records()} == {(4, 40, 80, 5)}
    assert {record.flags for record in run.records()} == {0}


def test_the_last_group_may_meet_the_end_before_it_trains() -> None:
    run = script()
    run.step()
    run.fetch()
    run.fetch()
    run.exhaust()
    for _ in range(2):
        run.spend(10)
        run.backward()
    run.optimize()
    assert phases(run.records()[1]) == (2, 20, 40, 5)
    assert run.records()[1].flags == 0


def gan_iteration(run: Script) -> None:
    run.fetch()
    run.spend(10)
    run.backward()
    run.optimize(D)
    run.spend(10)
    run.backward()
    run.optimize(G)


def test_gan_is_one_step_an_iteration() -> None:
    run = script()
    for _ in range(5):
        gan_iteration(run)
    assert run.durations() == [71] * 5
    assert {phases(record) for record in run.records()} == {(1, 20, 40, 10)}
    assert run.events[-2:] == [("end", 4), ("begin", 5)]


def test_two_optimizers_after_one_backward() -> None:
    run = script()
    for _ in range(4):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(D)
        run.optimize(G)
    assert run.durations() == [41] * 4


def test_wgan_counts_critic_updates() -> None:
    run = script()
    for iteration in range(15):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(D)
        if iteration % 5 == 4:
            run.spend(10)
            run.backward()
            run.optimize(G)
    assert len(run.records()) == 15
    assert sum(run.durations()) == 15 * 36 + 3 * 35 - (run.now - run.records()[-1].end_ns) / MS


def test_a_discriminator_that_starts_later() -> None:
    run = script()
    for _ in range(5):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(G)
    for _ in range(6):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(G)
        run.spend(10)
        run.backward()
        run.optimize(D)
    assert run.durations()[-4:] == [71] * 4
    assert len(run.records()) in (10, 11)
    assert sum(run.durations()) == 5 * 36 + 6 * 71


def test_an_optimizer_made_anew_goes_on_counting() -> None:
    run = script()
    for key in (11, 12):
        run.steps.optimizer_made()
        for _ in range(5):
            run.fetch()
            run.spend(10)
            run.backward()
            run.optimize(key)
    assert run.durations() == [36] * 10


def test_parameters_in_groups_step_several_times_for_one_backward() -> None:
    run = script()
    for _ in range(5):
        run.fetch()
        run.spend(10)
        run.backward()
        for _ in range(3):
            run.optimize(ADAM)
    assert len(run.records()) == 5


def test_optimizers_that_step_inside_backward() -> None:
    run = script()
    for _ in range(4):
        run.fetch()
        run.spend(10)
        run.backward(inside=lambda: [run.optimize(key, 1) for key in range(50, 60)] and None)
    assert run.durations() == [41] * 4
    assert run.steps.source == "optimizer"


def test_optimizer_steps_on_autograd_threads() -> None:
    run = script()

    def elsewhere() -> None:
        run.thread = 2
        run.optimize(50, 1)
        run.thread = 1

    for _ in range(3):
        run.fetch()
        run.backward(inside=elsewhere)
    assert run.durations() == [22] * 3


def scaled(run: Script, skipped: bool) -> None:
    run.fetch()
    run.spend(10)
    run.backward()
    run.steps.scaler_begin(ADAM)
    run.spend(3)
    if not skipped:
        run.optimize(ADAM)
    run.steps.scaler_end(ADAM)


def test_a_skipped_step_is_a_step() -> None:
    run = script()
    for skipped in (True, False, False, True, False):
        scaled(run, skipped)
    assert [record.flags for record in run.records()] == [4, 0, 0, 4, 0]
    assert [phases(record)[3] for record in run.records()] == [3, 8, 8, 3, 8]


def test_a_scaler_that_raises_leaves_no_step_open() -> None:
    run = script()
    run.step()
    run.step()
    run.fetch()
    run.backward()
    run.steps.scaler_begin(ADAM)
    run.steps.scaler_end(ADAM, raised=True)
    run.step()
    assert len(run.records()) == 3


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
    run.steps.optimizer_made()
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


def test_zipped_loaders_are_training() -> None:
    run = script()
    for _ in range(4):
        run.fetch(key=TRAIN)
        run.fetch(key=EVAL)
        run.spend(10)
        run.backward()
        run.optimize()
    assert {phases(record) for record in run.records()} == {(2, 10, 20, 5)}
    assert {record.samples for record in run.records()} == {8}
    assert {record.flags for record in run.records()} == {0}


def test_lbfgs_closure() -> None:
    run = script()

    def closure() -> None:
        for _ in range(3):
            run.spend(10)
            run.backward()

    for _ in range(3):
        run.fetch()
        run.optimize(inside=closure)
    assert {phases(record) for record in run.records()} == {(1, 30, 60, 5)}
    assert run.durations() == [96] * 3


def test_compiled_optimizer_steps_come_from_backward() -> None:
    run = script()
    for _ in range(4):
        for micro_batch in range(2):
            run.fetch()
            run.spend(10)
            run.updated = micro_batch == 0  # asked as the backward begins
            run.backward()
        run.spend(5)
    assert run.steps.source == "backward"
    assert len(run.records()) == 4
    assert {phases(record) for record in run.records()} == {(2, 20, 40, None)}
    assert run.durations() == [62, 67, 67, 67]  # the step that no hook sees is `other`


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
        run.steps.unit_begin(7)
        run.steps.unit_begin(8)  # a layer within
        run.spend(10)
        run.steps.unit_end(8)
        run.steps.unit_end(7)
    assert run.durations() == [11] * 4
    assert {phases(record) for record in run.records()} == {(1, 10, None, None)}


def test_step_on_call() -> None:
    run = script("call:train:step")
    for _ in range(3):
        run.fetch()
        run.steps.unit_begin(1)
        run.spend(10)
        run.backward()
        run.optimize()
        run.steps.unit_end(1)
    assert run.durations() == [36] * 3
    assert {phases(record) for record in run.records()} == {(1, 10, 20, 5)}


def test_prefetching_on_another_thread_is_no_input() -> None:
    run = script()
    for _ in range(3):
        run.thread = 2
        run.fetch(5)
        run.thread = 1
        run.backward()
        run.optimize()
    assert [phases(record)[0] for record in run.records()[1:]] == [0, 0]


def test_training_may_move_to_another_thread() -> None:
    run = script()
    for thread in (1, 2, 3):
        run.thread = thread
        run.step()
        run.step()
    assert len(run.records()) == 6


def test_a_backward_that_raises_leaves_the_tracker_whole() -> None:
    run = script()
    run.step()
    run.step()
    run.fetch()
    run.steps.backward_begin()
    run.steps.backward_begin()  # reentrant checkpointing
    run.steps.backward_end()
    run.steps.backward_end()  # out of memory: the script skips the batch
    run.step()
    run.step()
    assert len(run.records()) == 4


def test_an_optimizer_step_that_raises_leaves_the_tracker_whole() -> None:
    run = script()
    run.step()
    run.step()
    run.fetch()
    run.backward()
    run.steps.optimizer_begin(ADAM)
    run.step()
    run.step()
    assert len(run.records()) == 4


def test_a_listener_that_raises_is_removed() -> None:
    run = script()
    failures: list[BaseException] = []

    def broken(index: int, start: int, end: int, flags: int) -> None:
        raise ValueError("no")

    run.steps.on_failure = failures.append
    run.steps.on_step_end.insert(0, broken)
    for _ in range(3):
        run.step()
    assert len(run.records()) == 3
    assert [repr(error) for error in failures] == ["ValueError('no')"]


def test_drain_sends_each_step_once_in_columns() -> None:
    run = script()
    run.steps.optimizer_made()
    for _ in range(3):
        run.step()
    first = run.steps.drain()
    assert first is not None
    assert (first.first_index, first.duration_ns) == (0, [36 * MS] * 3)
    assert set(first.phases) == {"input", "forward", "backward", "optimizer"}
    assert run.steps.drain() is None
    run.step()
    second = run.steps.drain()
    assert second is not None
    assert (second.first_index, second.samples) == (3, [8])


def test_median_leaves_out_traced_steps() -> None:
    run = script()
    run.steps.optimizer_made()
    for _ in range(5):
        run.step()
    for _ in range(20):
        run.steps.flag(wire.STEP_TRACED)
        run.step(other=500)
    assert run.steps.median_step_ns() == 36 * MS


def test_spans_are_on_the_time_axis() -> None:
    run = script()
    run.steps.optimizer_made()
    run.step()
    run.steps.start_spans()
    begin = run.now
    run.step()
    spans = [(phase, (start - begin) // MS, (end - begin) // MS) for phase, start, end in
             run.steps.take_spans()]  # fmt: skip
    assert spans == [("input", 0, 1), ("forward", 1, 11), ("backward", 11, 31),
                     ("optimizer", 31, 36)]  # fmt: skip
    assert run.steps.take_spans() == []


def test_a_forked_child_begins_anew() -> None:
    run = script()
    run.step()
    run.steps.reset()
    assert (run.steps.index, run.steps.hook_calls, run.steps.trained) == (0, 0, False)
    run.step()
    assert run.durations() == [36]
