"""The step tracker under a clock of the test's own: each kind of training loop, event by event."""

from __future__ import annotations

import pytest

from fwtop_profilers import wire
from tests.profilers.step_script import EVAL, MS, TRAIN, phases, script

pytestmark = pytest.mark.usefixtures("told")


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
    run.tape.optimizer_made()
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
    run.tape.backward_begin()
    run.tape.backward_begin()  # reentrant checkpointing
    run.tape.backward_end()
    run.tape.backward_end()  # out of memory: the script skips the batch
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
    run.tape.optimizer_made()
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
    run.tape.optimizer_made()
    for _ in range(5):
        run.step()
    for _ in range(20):
        run.tape.flag(wire.STEP_TRACED)
        run.step(other=500)
    assert run.steps.median_step_ns() == 36 * MS


def test_spans_are_on_the_time_axis() -> None:
    run = script()
    run.tape.optimizer_made()
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
    run.tape.reset()
    assert (run.steps.index, run.steps.trained) == (0, False)
    run.step()
    assert run.durations() == [36]
