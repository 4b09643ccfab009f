"""A step's phases as the GPU saw them: events at the boundaries that the host's phases come from.

Owns a pool of CUDA events and the marks of steps that the GPU has not finished. Everything runs on
the training thread: a query on another one would spoil a graph capture of the script's, and on this
one a capture under way can be seen, and is left alone. Nothing ever waits for the GPU: a step's
times are read when its last event has been reached, some steps later; a GPU that is further behind
than `MAX_BEHIND` steps loses the oldest.
"""

from __future__ import annotations

from collections import deque
from types import ModuleType
from typing import Any, Deque, Dict, List, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.guard import Guard
from fwtop_profilers.steps import StepTracker
from fwtop_profilers.torch.memory import cuda_in_use

MAX_BEHIND = 64
MAX_MARKS = 256
"""Boundaries of one step; a step with more (many micro-batches) is not timed on the device."""
MAX_POOL = 1024
MAX_DONE = 4096

Mark = Tuple[str, int, Any]
"""(boundary, host's monotonic ns, event)."""


class CudaEvents:
    """Device times of one process's steps, on the stream that is current at each boundary."""

    def __init__(self, torch: ModuleType, steps: StepTracker, guard: Guard) -> None:
        self._torch = torch
        self._steps = steps
        self._guard = guard
        self._pool: List[Any] = []
        self._marks: List[Mark] = []
        self._previous_end: Optional[Any] = None
        self._behind: Deque[Tuple[int, Optional[Any], List[Mark]]] = deque()
        self._done: Deque[Tuple[int, Optional[int], Dict[str, int]]] = deque(maxlen=MAX_DONE)
        self._in_use = False

    def install(self) -> None:
        """Follow the steps; and the boundaries, once the script has initialised CUDA."""
        self._steps.on_step_end.append(self._step_ended)

    def uninstall(self) -> None:
        """Stop following."""
        if self._boundary in self._steps.on_boundary:
            self._steps.on_boundary.remove(self._boundary)
        if self._step_ended in self._steps.on_step_end:
            self._steps.on_step_end.remove(self._step_ended)

    def forked(self) -> None:
        """In a child the parent's events are nothing."""
        self._pool, self._marks, self._previous_end, self._in_use = [], [], None, False
        if self._boundary in self._steps.on_boundary:
            self._steps.on_boundary.remove(self._boundary)
        self._behind.clear()
        self._done.clear()

    def drain(self) -> List[wire.DeviceSteps]:
        """What the device has finished since; called on the sender's thread."""
        rows = []
        while self._done:
            rows.append(self._done.popleft())
        if not rows:
            return []
        phases = sorted({phase for _, _, times in rows for phase in times})
        return [
            wire.DeviceSteps(
                indices=[index for index, _, _ in rows],
                duration_ns=[duration for _, duration, _ in rows],
                phases={phase: [times.get(phase) for _, _, times in rows] for phase in phases},
            )
        ]

    # --- on the training thread ------------------------------------------------------------------

    def _boundary(self, name: str, at_ns: int) -> None:
        if self._guard.off:
            return
        try:
            marks = self._marks
            if len(marks) > MAX_MARKS or self._torch.cuda.is_current_stream_capturing():
                return
            if name == "input_begin" and len(marks) >= 2 and marks[-1][0] == "input_end":
                self._recycle(marks[-2:])  # one fetch after another: evaluation, or fetching ahead
                del marks[-2:]
            event = self._pool.pop() if self._pool else self._torch.cuda.Event(enable_timing=True)
            event.record()
            marks.append((name, at_ns, event))
        except Exception as error:
            self._guard.fail(error)

    def _step_ended(self, index: int, start_ns: int, end_ns: int, flags: int) -> None:
        if self._guard.off:
            return
        try:
            if not self._in_use:
                self._in_use = cuda_in_use(self._torch)
                if self._in_use:
                    self._steps.on_boundary.append(self._boundary)
                return
            own = [mark for mark in self._marks if mark[1] <= end_ns]
            self._marks = [mark for mark in self._marks if mark[1] > end_ns]
            previous = None if flags & wire.STEP_GAP else self._previous_end
            if 2 <= len(own) <= MAX_MARKS:
                self._behind.append((index, previous, own))
                self._previous_end = own[-1][2]
            else:
                self._recycle(own)
                self._previous_end = None
            if len(self._behind) > MAX_BEHIND:
                self._behind.popleft()  # its events may still be pending: not for the pool
            if not self._torch.cuda.is_current_stream_capturing():
                self._read()
        except Exception as error:
            self._guard.fail(error)

    def _read(self) -> None:
        while self._behind:
            index, previous, marks = self._behind[0]
            if not all(event.query() for _, _, event in marks):
                return
            self._behind.popleft()
            first = marks[0][2] if previous is None else previous
            duration = _elapsed_ns(first, marks[-1][2])
            self._done.append((index, duration, _phases(previous, marks)))
            # The last event is the next step's first; all others are free.
            self._recycle(marks[:-1])
            if previous is not None:
                self._recycle([("", 0, previous)])

    def _recycle(self, marks: List[Mark]) -> None:
        room = MAX_POOL - len(self._pool)
        self._pool.extend(event for _, _, event in marks[: max(0, room)])


def _phases(previous: Optional[Any], marks: List[Mark]) -> Dict[str, int]:
    """Nanoseconds by phase, from the events on both sides of each stretch."""
    times: Dict[str, int] = {}
    last_name, last = "step_begin", previous
    for name, _, event in marks:
        phase = _PHASE_BETWEEN.get((last_name, name))
        if phase is not None and last is not None:
            times[phase] = times.get(phase, 0) + _elapsed_ns(last, event)
        last_name, last = name, event
    return times


_PHASE_BETWEEN = {
    ("input_begin", "input_end"): "input",
    ("step_begin", "backward_begin"): "forward",
    ("input_end", "backward_begin"): "forward",
    ("backward_end", "backward_begin"): "forward",
    ("optimizer_end", "backward_begin"): "forward",
    ("optimizer_begin", "backward_begin"): "forward",
    ("backward_begin", "backward_end"): "backward",
    ("optimizer_begin", "optimizer_end"): "optimizer",
    ("backward_end", "optimizer_end"): "optimizer",
}
"""Neighbouring boundaries; an optimizer step with a closure has a backward inside it."""


def _elapsed_ns(begin: Any, end: Any) -> int:
    return max(0, int(begin.elapsed_time(end) * 1e6))
