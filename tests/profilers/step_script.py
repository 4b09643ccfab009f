"""A pretended training script under a clock of the test's own, for the step tracker's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fwtop_profilers.step_log import StepRecord
from fwtop_profilers.tape import Tape
from fwtop_profilers.whole_steps import WholeSteps

MS = 1_000_000
TRAIN, EVAL = 100, 200
ADAM, G, D = 1, 2, 3


def told_from_ns() -> int:
    """From when on the rules are told of a boundary at once; see conftest."""
    return 0


@dataclass
class Script:
    """A pretended script: each call takes its time in milliseconds and reports the boundaries."""

    tape: Tape
    now: int = 1_000 * MS
    thread: int = 1
    updated: bool = False
    """Whether parameters change without an optimizer step that could be seen."""
    heard: list[tuple[str, int]] = field(default_factory=list)

    @property
    def steps(self) -> WholeSteps:
        """What the rules have found by now."""
        self.tape.play()
        return self.tape.steps

    @property
    def events(self) -> list[tuple[str, int]]:
        """What listeners have heard by now."""
        self.tape.play()
        return self.heard

    def spend(self, ms: float) -> None:
        self.now += int(ms * MS)

    def fetch(self, ms: float = 1, key: int = TRAIN, grad: bool = True, samples: int = 8) -> None:
        self.tape.input_begin(key, grad)
        self.spend(ms)
        self.tape.input_end(samples)

    def exhaust(self, key: int = TRAIN, grad: bool = True, ms: float = 0) -> None:
        self.tape.input_begin(key, grad)
        self.spend(ms)
        self.tape.input_end(None, False)

    def backward(self, ms: float = 20, inside: Callable[[], None] = lambda: None) -> None:
        self.tape.backward_begin()
        self.spend(ms)
        inside()
        self.tape.backward_end()

    def optimize(
        self, key: int = ADAM, ms: float = 5, inside: Callable[[], None] = lambda: None
    ) -> None:
        self.tape.optimizer_begin(key)
        inside()
        self.spend(ms)
        self.tape.optimizer_end(key)

    def step(self, other: float = 0) -> None:
        """An ordinary iteration: 1 ms input, 10 forward, 20 backward, 5 optimizer."""
        self.fetch()
        self.spend(10)
        self.backward()
        self.optimize()
        self.spend(other)

    def records(self) -> list[StepRecord]:
        self.tape.finish()
        return self.steps.finished(0, 1 << 60)

    def durations(self) -> list[float]:
        return [(record.end_ns - record.start_ns) / MS for record in self.records()]


def script(step_on: str = "auto") -> Script:
    made: list[Script] = []
    tape = Tape(step_on, lambda: made[0].now, lambda: made[0].thread)
    tape.wakes.append(told_from_ns)
    made.append(Script(tape))
    run, tracker = made[0], tape.steps
    tracker.parameters_changed = lambda: run.updated
    tracker.on_step_begin.append(lambda index, start: run.heard.append(("begin", index)))
    tracker.on_step_end.append(lambda index, *rest: run.heard.append(("end", index)))
    tracker.on_gap.append(lambda at: run.heard.append(("gap", tracker.index)))
    return run


def phases(record: StepRecord) -> tuple[float | None, ...]:
    values = (record.input_ns, record.forward_ns, record.backward_ns, record.optimizer_ns)
    return tuple(None if value is None else value / MS for value in values)
