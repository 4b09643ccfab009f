"""One trace window between its opening and its message, and what a way to take a trace is.

Owns the window's own figures: its steps, its phases, what it cost. When one opens and who saves it
is `windows`'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Optional, Protocol, Tuple

from fwtop_profilers import wire
from fwtop_profilers.governor import Plan, WindowCost, slowdown_ns


class Way(Protocol):
    """One way to take a trace. `start` is the subclass's business, for what it records differs."""

    @property
    def name(self) -> str:
        """For `Window.way`."""

    @property
    def stop_is_short(self) -> bool:
        """`stop` only ends the recording, and `save` does the rest without the GIL."""

    def stop(self) -> Any:
        """Stop recording, on the training thread; what `save` takes."""

    def save(self, result: Any, path: str) -> None:
        """Write the trace; raises OSError or RuntimeError. Runs on any thread."""

    def abort(self) -> None:
        """Stop and throw away, on the training thread."""


class BusyError(Exception):
    """The profiler is somebody else's just now; nothing has failed."""


@dataclass
class Opened:
    """The window that is open, or whose trace is being saved."""

    key: str
    plan: Plan
    way: Way
    thread: int
    first_step: int
    start_ns: int
    anchor: Tuple[int, int]
    start_cost_ns: int = 0
    stop_cost_ns: int = 0
    end_ns: int = 0
    compiled: bool = False
    level: Optional[str] = None
    wanted_steps: int = 0
    steps: List[Tuple[int, int]] = field(default_factory=list)
    """(start_ns, duration_ns) of the traced steps so far."""
    spans: List[Tuple[str, int, int]] = field(default_factory=list)
    lag_event: Any = None
    lag_steps: int = 0
    overlapped_ns: List[int] = field(default_factory=list)
    """Durations of the steps that ran beside the saving, where that leaves them running."""
    save_ns: int = 0
    saved_at_ns: int = 0
    path: str = ""
    size_bytes: int = 0

    def cost(self, median_step_ns: Optional[int]) -> WindowCost:
        """Wall time that the training thread lost. Where saving holds the GIL that is all of it,
        else what the steps beside it took beyond the median."""
        traced = sum(duration for _, duration in self.steps) - self.start_cost_ns
        median = None if self.compiled else median_step_ns
        slowdown = slowdown_ns(traced, len(self.steps), median)
        save_ns = self.save_ns
        beside = self.overlapped_ns
        if beside and median is not None:
            save_ns = min(save_ns, max(0, sum(beside) - len(beside) * median))
        return WindowCost(self.start_cost_ns, self.stop_cost_ns, save_ns, slowdown)

    def message(self, cost: WindowCost, trace_format: str) -> wire.Window:
        """What the recorder is told once the trace lies in the folder."""
        plan, spans = self.plan, self.spans
        return wire.Window(
            window_key=self.key,
            path=self.path,
            format=trace_format,
            deep=plan.deep,
            first_step=self.first_step,
            step_count=len(self.steps),
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            anchor_monotonic_ns=self.anchor[0],
            anchor_unix_ns=self.anchor[1],
            start_cost_ns=cost.start_ns,
            stop_cost_ns=cost.stop_ns,
            save_cost_ns=cost.save_ns,
            slowdown_ns=cost.slowdown_ns,
            way=self.way.name,
            size_bytes=self.size_bytes,
            counted=plan.counted,
            level=self.level,
            step_start_ns=[start for start, _ in self.steps],
            step_duration_ns=[duration for _, duration in self.steps],
            span_phase=[phase for phase, _, _ in spans],
            span_start_ns=[start for _, start, _ in spans],
            span_end_ns=[end for _, _, end in spans],
        )


def in_words(error: Exception) -> str:
    """Why a window failed, for `WindowFailed`."""
    return "%s: %s" % (type(error).__name__, error)
