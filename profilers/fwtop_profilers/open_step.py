"""The step under way: what it has gathered, where it may have ended, and who is told.

Owns the accounting of one open step and its closing, now or with hindsight; `steps` decides when.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.step_log import StepLog, StepRecord

MAX_SPANS = 20_000


class Part:
    """Time gathered for the open step, in nanoseconds."""

    __slots__ = (
        "backward",
        "backwards",
        "flags",
        "forward",
        "given",
        "input",
        "opaque",
        "optimizer",
        "samples",
        "start",
    )

    def __init__(self, start: Optional[int]) -> None:
        self.start = start
        self.input = 0
        self.forward: Optional[int] = None
        self.backward = 0
        self.optimizer = 0
        self.flags = 0
        self.backwards = 0
        self.samples: Optional[int] = None
        self.given: Optional[int] = None
        """Samples in the largest batch that the script handed over, where no fetch tells."""
        self.opaque = False
        """Compiled code ran whose phases cannot be told apart: they are unknown, not 0."""

    def absorb(self, later: Part) -> None:
        """Take over what was gathered after a boundary that was none."""
        self.input += later.input
        if later.forward is not None:
            self.forward = (self.forward or 0) + later.forward
        self.backward += later.backward
        self.optimizer += later.optimizer
        self.flags |= later.flags
        self.backwards += later.backwards
        self.opaque = self.opaque or later.opaque
        if later.samples is not None:
            self.samples = (self.samples or 0) + later.samples
        self.give(later.given)

    def give(self, samples: Optional[int]) -> None:
        """A batch was handed over; several a step are the same one, for several models."""
        if samples is not None:
            self.given = max(self.given or 0, samples)


class OpenStep:
    """The open step of a process, with its listeners.

    Listeners are told on the training thread where one of them has asked to be told at once
    (`Tape.wakes`), and otherwise on the sender's, a round later. A listener to each boundary is
    always told at once.
    """

    def __init__(self) -> None:
        self.on_step_begin: List[Callable[[int, int], None]] = []
        """(index, start_ns). Called again for the same index when the step turns out to start
        later, after a gap."""
        self.on_step_end: List[Callable[[int, int, int, int], None]] = []
        """(index, start_ns, end_ns, flags), flags as in `wire`. At the very end of the step; but
        while a set of optimizers is being learnt, up to one step late."""
        self.on_gap: List[Callable[[int], None]] = []
        """(at_ns), when what runs since the last `on_step_begin` turns out to be no step:
        evaluation, or the end of an epoch."""
        self.on_boundary: List[Callable[[str, int], None]] = []
        """(name, at_ns) at `input_begin`, `input_end`, `backward_begin`, `backward_end`,
        `optimizer_begin`, `optimizer_end`, outermost only."""
        self.on_source: List[Callable[[str], None]] = []
        """(source), when what bounds a step becomes known or changes."""
        self.on_failure: Optional[Callable[[BaseException], None]] = None
        """Told when a listener raised; the listener has then been removed."""
        self.reset()

    def reset(self) -> None:
        """Begin anew; listeners stay."""
        self.source: Optional[str] = None
        self.index = 0
        """Index of the open step."""
        self.log = StepLog()
        self._part = Part(None)
        self._candidate: Optional[Tuple[Part, int]] = None
        self._in_gap = True
        self._spans: Optional[List[Tuple[str, int, int]]] = None
        self._any_input = False
        self._any_backward = False
        self._any_optimizer = False

    def flag(self, flags: int) -> None:
        """Mark the open step with `wire.STEP_*` flags."""
        self._part.flags |= flags

    def median_step_ns(self) -> Optional[int]:
        """Median duration of the last 64 steps that were neither traced nor compiling."""
        return self.log.median_step_ns()

    def finished(self, first_index: int, end_index: int) -> List[StepRecord]:
        """Finished steps with first_index <= index < end_index, of the last 256."""
        return self.log.between(first_index, end_index)

    def start_spans(self) -> None:
        """Begin to keep phase spans, for a trace window."""
        self._spans = []

    def take_spans(self) -> List[Tuple[str, int, int]]:
        """(phase, start_ns, end_ns) since `start_spans`, as they ended; stops keeping them."""
        spans, self._spans = self._spans, None
        return spans or []

    def drain(self, limit: int = 512) -> Optional[wire.Steps]:
        """Finished steps not drained before, at most `limit`; None if there are none."""
        return self.log.drain(limit)

    # --- closing --------------------------------------------------------------------------------

    def _make_candidate(self, now: int) -> None:
        """The step may have ended here; what follows is gathered apart until that is known."""
        part = self._merged()
        self._candidate = (part, now)
        self._part = Part(now)

    def _merged(self) -> Part:
        """Everything gathered since the last step that is known to have ended."""
        if self._candidate is None:
            return self._part
        part, _ = self._candidate
        part.absorb(self._part)
        self._candidate = None
        self._part = part
        return part

    def _close_candidate(self) -> None:
        """The step did end at the candidate; what came after belongs to the next one."""
        if self._candidate is not None:
            part, end = self._candidate
            self._candidate = None
            self._finished(part, end)

    def _close(self, now: int) -> None:
        """The step ends here."""
        part = self._merged()
        self._part = Part(now)
        self._finished(part, now)

    def _finished(self, part: Part, end: int) -> None:
        step = self._record(part, end)
        self._in_gap = False
        for listener in self.on_step_end:
            try:
                listener(step.index, step.start_ns, end, step.flags)
            except Exception as error:
                self._listener_failed(listener, error)
        for begin_listener in self.on_step_begin:
            try:
                begin_listener(self.index, end)
            except Exception as error:
                self._listener_failed(begin_listener, error)

    def _record(self, part: Part, end: int) -> StepRecord:
        opaque = part.opaque
        record = (
            self.index,
            end if part.start is None else part.start,
            end,
            (part.input or None if opaque else part.input) if self._any_input else None,
            None if opaque else part.forward,
            part.backward if self._any_backward and not opaque else None,
            (part.optimizer or None if opaque else part.optimizer) if self._any_optimizer else None,
            part.flags,
            part.given if part.samples is None else part.samples,
        )
        step: StepRecord = tuple.__new__(StepRecord, record)  # past its constructor in Python
        self.log.add(step)
        self.index += 1
        return step

    # --- telling --------------------------------------------------------------------------------

    def _span(self, phase: str, begin: int, end: int) -> None:
        spans = self._spans
        if spans is not None and end > begin and len(spans) < MAX_SPANS:
            spans.append((phase, begin, end))

    def _boundary(self, name: str, at_ns: int) -> None:
        for listener in list(self.on_boundary):  # one may end its listening
            self._call(listener, name, at_ns)

    def _call(self, listener: Callable[..., None], *args: Any) -> None:
        """Call a listener, as the steps' ends do without a call more."""
        try:
            listener(*args)
        except Exception as error:  # the hook that tells must never see it
            self._listener_failed(listener, error)

    def _listener_failed(self, listener: Callable[..., None], error: Exception) -> None:
        """It raised: it is removed from every list, and told of."""
        listeners: List[Any]
        for listeners in (
            self.on_step_begin, self.on_step_end, self.on_gap, self.on_boundary, self.on_source,
        ):  # fmt: skip
            if listener in listeners:
                listeners.remove(listener)
        if self.on_failure is not None:
            self.on_failure(error)
