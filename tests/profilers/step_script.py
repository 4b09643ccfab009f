"""A pretended training script under a clock of the test's own, for the step tracker's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fwtop_profilers.step_log import StepRecord
from fwtop_profilers.steps import StepTracker

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
