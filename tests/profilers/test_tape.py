"""The tape between hooks and rules: what is played when, by whom, and that nothing is lost."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop_profilers import wire
from fwtop_profilers.clock import NEVER_NS
from fwtop_profilers.plain_steps import PlainSteps
from fwtop_profilers.step_rules import LONELY_OPTIMIZER_STEPS
from fwtop_profilers.tape import LATEST_NS, Tape

MS = 1_000_000
TRAINER, SENDER, OTHER = 1, 2, 3
ADAM = 7


class Loop:
    """A training loop on a tape, with a clock and threads of its own."""

    def __init__(self, step_on: str = "auto") -> None:
        self.now = 1_000 * MS
        self.thread = TRAINER
        self.tape = Tape(step_on, lambda: self.now, lambda: self.thread)
        self.ended: list[tuple[int, int]] = []
        """(index, thread that was told) of each step, when it was told."""
        self.tape.steps.on_step_end.append(
            lambda index, *rest: self.ended.append((index, self.thread))
        )
        self.wake_ns = 0
        """When a listener wants to be told at once."""
        self.tape.wakes.append(lambda: self.wake_ns)
        self.tape.optimizer_made()

    def begin(self) -> None:
        """The first step, after which nobody wants to be told at once."""
        self.step()
        self.wake_ns = NEVER_NS
        self.tape.play()

    def step(self) -> None:
        for boundary in (
            lambda: self.tape.input_begin(5, True), lambda: self.tape.input_end(8),
            self.tape.backward_begin, self.tape.backward_end,
            lambda: self.tape.optimizer_begin(ADAM), lambda: self.tape.optimizer_end(ADAM),
        ):  # fmt: skip
            boundary()
            self.now += MS

    def on(self, thread: int, task: Callable[[], Any]) -> None:
        self.thread, before = thread, self.thread
        task()
        self.thread = before

    def send(self) -> None:
        """A round of the sender's thread."""
        self.on(SENDER, self.tape.play)

    def durations(self) -> list[int]:
        steps = self.tape.steps.finished(0, 10_000)
        return [(step.end_ns - step.start_ns) // MS for step in steps]


def test_until_it_is_known_what_a_step_is_each_boundary_is_told_at_once() -> None:
    loop = Loop()
    loop.wake_ns = NEVER_NS
    for boundary in (lambda: loop.tape.input_begin(5, True), lambda: loop.tape.input_end(8)):
        boundary()
        assert not loop.tape._rows
    assert loop.tape.steps.source is None


def test_then_the_senders_thread_plays_with_the_times_at_which_it_was_noted() -> None:
    loop = Loop()
    loop.begin()
    told_at_once = list(loop.ended)
    for _ in range(3):
        loop.step()
    assert loop.ended == told_at_once
    loop.now += 50 * MS
    loop.send()
    assert loop.ended == [(0, TRAINER), (1, SENDER), (2, SENDER), (3, SENDER)]
    assert loop.durations() == [5, 6, 6, 6]
    (first, *_) = loop.tape.steps.finished(1, 2)
    assert (first.input_ns, first.backward_ns, first.optimizer_ns) == (MS, MS, MS)


def test_from_a_wake_on_the_training_thread_is_told() -> None:
    loop = Loop()
    loop.begin()
    loop.wake_ns = loop.now + 12 * MS
    loop.send()
    assert loop.tape.due_ns == loop.wake_ns
    loop.step()
    loop.step()
    assert [index for index, _ in loop.ended] == [0]
    loop.step()
    loop.step()
    assert loop.ended == [(index, TRAINER) for index in range(5)]


def test_steps_before_a_wake_are_the_senders() -> None:
    loop = Loop()
    loop.begin()
    loop.wake_ns = loop.now + 9 * MS
    loop.tape.play()
    loop.step()
    loop.send()
    assert loop.ended[-1] == (1, SENDER)
    loop.step()
    assert loop.ended[-1] == (2, TRAINER)


def test_a_change_of_mind_counts_from_the_next_boundary_on() -> None:
    loop = Loop()
    loop.begin()
    loop.step()
    assert len(loop.ended) == 1
    loop.tape.wake()
    loop.tape.input_begin(5, True)
    assert [index for index, _ in loop.ended] == [0, 1]


def test_what_is_due_is_left_to_the_thread_that_trains() -> None:
    loop = Loop()
    loop.step()
    played = loop.tape.noted
    loop.tape.append((loop.now, (loop.tape.steps.backward_begin, TRAINER, "", ())))
    loop.send()  # it came between the noting and the playing
    assert loop.tape.noted == played
    loop.tape.play()
    assert loop.tape.noted == played + 1


def test_a_tape_that_nobody_plays_is_played_by_the_hooks() -> None:
    loop = Loop()
    loop.begin()
    begun = loop.now
    while loop.now < begun + 3 * LATEST_NS:
        loop.step()
    told = [index for index, _ in loop.ended]
    assert told == list(range(len(told)))
    assert loop.tape.steps.index - told[-1] <= 1
    assert len(told) > 2 * LATEST_NS // (6 * MS)


def test_where_parameters_are_looked_at_each_boundary_is_told_at_once() -> None:
    loop = Loop()
    asked: list[int] = []
    loop.tape.steps.on_backward_end = lambda: asked.append(loop.now)
    for _ in range(3):
        loop.tape.backward_begin()
        loop.now += MS
        loop.tape.backward_end()
        assert asked[-1] == loop.now
        loop.now += MS


def test_what_a_hook_asks_for_next_is_known() -> None:
    loop = Loop()
    loop.begin()
    loop.step()
    loop.tape.judge_begin()
    assert loop.tape.steps._judging_from is not None
    assert [index for index, _ in loop.ended] == [0, 1]
    loop.tape.judge_end()
    assert loop.tape.steps._judging_from is None


def test_another_thread_does_not_hurry_the_training_one() -> None:
    loop = Loop()
    loop.begin()
    loop.step()
    loop.on(OTHER, lambda: loop.tape.input_begin(9, True))
    loop.on(OTHER, lambda: loop.tape.input_end(8))
    assert [index for index, _ in loop.ended] == [0]
    loop.send()
    assert loop.durations() == [5, 6]


def test_the_end_plays_what_is_left() -> None:
    loop = Loop()
    loop.begin()
    loop.step()
    loop.on(OTHER, loop.tape.finish)
    assert [index for index, _ in loop.ended] == [0, 1]


def test_a_rule_that_raises_is_switched_off_with_its_other_half() -> None:
    loop = Loop()
    failures: list[tuple[str, str]] = []
    loop.tape.on_failure = lambda subject, error: failures.append((subject, repr(error)))
    loop.begin()

    def broken() -> None:
        raise ZeroDivisionError("ours")

    broken.__name__ = "backward_end"
    tape = loop.tape
    tape.append((loop.now, (broken, TRAINER, "", ())))
    for _ in range(LONELY_OPTIMIZER_STEPS + 10):
        loop.step()
    loop.send()
    assert failures == [("backward", "ZeroDivisionError('ours')")]
    assert len(loop.ended) > 5  # the optimizer's boundaries still end steps
    assert all(step.backward_ns == 0 for step in tape.steps.finished(1, 100))


def test_a_boundary_within_a_listener_waits_its_turn() -> None:
    loop = Loop()
    loop.tape.steps.on_step_end.append(lambda *step: loop.tape.input_begin(5, True))
    loop.step()
    loop.step()
    assert [index for index, _ in loop.ended] == [0, 1]
    assert not loop.tape._rows


def test_a_held_lock_stops_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fwtop_profilers.tape.LOCK_S", 0.01)
    loop = Loop()
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with loop.tape._lock:
            held.set()
            over.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    loop.step()  # due from the first boundary on
    assert loop.ended == []
    over.set()
    holder.join()
    loop.tape.play()
    assert [index for index, _ in loop.ended] == [0]


def test_a_forked_child_begins_anew_with_a_lock_of_its_own() -> None:
    loop = Loop()
    loop.begin()
    loop.step()
    lock = loop.tape._lock
    loop.tape.reset()
    assert loop.tape._lock is not lock
    assert (loop.tape.noted, loop.tape.due_ns, loop.tape.steps.index) == (0, 0, 0)
    loop.step()
    assert loop.ended[-1] == (0, TRAINER)


def test_calls_are_counted_and_priced() -> None:
    loop = Loop()
    loop.begin()
    loop.step()
    loop.send()
    assert loop.tape.noted == 13  # an optimizer was made, too
    assert loop.tape.cost_ns == 0  # not measured yet
    loop.tape.call_cost_ns = 500
    assert loop.tape.cost_ns == 6_500


@pytest.mark.parametrize("kind", ["train", "compiled", "fit"])
def test_plain_steps_take_the_short_cut(kind: str) -> None:
    taken: list[int] = []
    original = PlainSteps.take_plain

    def take_plain(steps: PlainSteps, *args: Any) -> int:
        taken.append(original(steps, *args))
        return taken[-1]

    with patch.object(PlainSteps, "take_plain", take_plain):
        run([(kind, ADAM, 20)], NEVER_NS, 1)
    assert sum(map(bool, taken)) >= 16


def test_a_short_cut_that_fails_is_left_to_the_rules() -> None:
    loop = Loop()
    failures: list[str] = []
    loop.tape.on_failure = lambda subject, error: failures.append(subject)
    loop.begin()
    with patch.object(PlainSteps, "take_plain", side_effect=ZeroDivisionError):
        for _ in range(5):
            loop.step()
        loop.send()
    assert failures == ["plain steps"]
    assert [index for index, _ in loop.ended] == list(range(6))
    assert loop.durations() == [5, 6, 6, 6, 6, 6]


def test_steps_are_taken_whole_while_another_thread_notes_more() -> None:
    loop = Loop()
    failures: list[str] = []
    loop.tape.on_failure = lambda subject, error: failures.append(repr(error))
    loop.begin()
    interval = sys.getswitchinterval()
    training = threading.Thread(target=lambda: [loop.step() for _ in range(5_000)])
    sys.setswitchinterval(1e-6)
    try:
        training.start()
        while training.is_alive():
            loop.tape.play()
    finally:
        sys.setswitchinterval(interval)
    training.join()
    loop.tape.play()
    assert failures == []
    assert len(loop.ended) == 5_001


def test_a_step_that_is_over_is_not_here() -> None:
    loop = Loop()
    here: list[tuple[int, bool]] = []
    loop.tape.steps.on_step_begin.append(
        lambda index, start_ns: here.append((index, loop.tape.is_here))
    )
    loop.begin()
    loop.step()
    loop.step()
    loop.tape.wake()
    loop.tape.input_begin(5, True)
    assert here == [(0, True), (1, True), (2, False), (3, False)]
    loop.wake_ns = 0
    loop.tape.wake()
    loop.step()
    assert here[-1] == (4, True)


KEYS = st.sampled_from([ADAM, ADAM, ADAM, 8])
OPERATION = st.one_of(
    st.tuples(st.just("fetch"), st.sampled_from([5, 6]), st.booleans()),
    st.tuples(st.just("exhaust"), st.sampled_from([5, 6]), st.booleans()),
    st.tuples(st.just("backward")),
    st.tuples(st.just("optimize"), KEYS),
    st.tuples(st.just("train"), KEYS, st.integers(1, 6)),
    st.tuples(st.just("update"), KEYS),
    st.tuples(st.just("compiled"), KEYS, st.integers(1, 6)),
    st.tuples(st.just("batch")),
    st.tuples(st.just("fit"), KEYS, st.integers(1, 6)),
    st.tuples(st.just("judge")),
    st.tuples(st.just("flag")),
    st.tuples(st.just("pause")),
    st.tuples(st.just("elsewhere"), st.sampled_from([5, 6])),
)


def run(operations: list[tuple[Any, ...]], from_ns: int, plays: int) -> tuple[Any, ...]:
    """What the rules find in them: all at once, or played at every so manyth operation."""
    loop = Loop()
    loop.wake_ns = from_ns
    tape = loop.tape

    def do(name: str, key: int = 0, training: bool = True) -> None:
        if name in ("fetch", "exhaust"):
            tape.input_begin(key, training)
            loop.now += MS
            tape.input_end(*((8,) if name == "fetch" else (None, False)))
        elif name == "backward":
            tape.backward_begin()
            loop.now += 3 * MS
            tape.backward_end()
        elif name == "optimize":
            tape.optimizer_begin(key)
            loop.now += 2 * MS
            tape.optimizer_end(key)
        elif name in ("train", "compiled"):
            compute = (("backward",), ("optimize", key)) if name == "train" else (("update", key),)
            for part in (("fetch", 5), *compute) * int(training):
                do(*part)  # type: ignore[arg-type]
        elif name == "update":
            tape.update_begin(key)
            loop.now += 4 * MS
            tape.update_end(key)
        elif name == "batch":
            tape.batch_begin()
            do("train", ADAM)
            tape.batch_end(8)
        elif name == "fit":
            for _ in range(int(training)):
                tape.batch_begin()
                do("update", key)
                tape.batch_end(8)
                loop.now += MS
        elif name == "judge":
            tape.judge_begin()
            loop.now += MS
            tape.judge_end(8)
        elif name == "flag":
            tape.flag(wire.STEP_COMPILED)
        elif name == "pause":
            loop.now += 700 * MS
        elif name == "elsewhere":
            loop.on(OTHER, lambda: do("fetch", key))
        loop.now += MS

    for number, operation in enumerate(operations):
        do(*operation)
        if number % plays == plays - 1:
            loop.send()
    tape.finish()
    return tape.steps.finished(0, 10_000), tape.steps.source


@given(st.lists(OPERATION, max_size=60), st.integers(1, 70))
def test_what_is_found_does_not_depend_on_when_it_is_played(
    operations: list[tuple[Any, ...]], plays: int
) -> None:
    with patch("fwtop_profilers.tape.LATEST_NS", NEVER_NS // 2):
        assert run(operations, NEVER_NS, plays) == run(operations, 0, 1)
