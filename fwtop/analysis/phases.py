"""The phase of a moment in a window: from the steps' spans, or from the trace's own names."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from fwtop.analysis.results import PhaseSpan
from fwtop.traces.model import TraceWindow

LEAD_NS = 100_000
"""A phase takes so much of the gap before it: a framework's own range around a phase (PyTorch's
`Optimizer.step#…`) opens some microseconds before the hook in it that tells the phase."""
_NEVER = 1 << 62
_OPTIMIZER = "Optimizer.step#"
_NAMED = (
    ("autograd::engine::evaluate_function", "backward"),
    (_OPTIMIZER, "optimizer"),
    ("enumerate(DataLoader)#", "input"),
    ("enumerate(DataPipe)#", "input"),
    ("Optimizer.zero_grad#", "other"),
)
"""PyTorch marks these itself; what lies outside of them is taken for forward."""
_BACKWARD_NODE = re.compile(r"(?:\w+Backward\d*|torch::autograd::\w+)\Z")
"""A node of autograd's graph; before torch 1.9 nothing else marks backward."""


class Segments:
    """The window's time axis cut into phases without a gap: (phase, end), in order."""

    def __init__(self, spans: Iterable[tuple[int, int, str]], default: str):
        self._phases: list[str] = []
        self._ends: list[int] = []
        at = -_NEVER
        for start, end, phase in sorted(spans):
            start = max(start, at)
            if end <= start:
                continue
            if start > at:
                self._append(default, start)
            self._append(phase, end)
            at = end
        self._append(default, _NEVER)

    @classmethod
    def of(cls, trace: TraceWindow, spans: Sequence[PhaseSpan]) -> Segments:
        """From the phases of the traced steps, in unix ns; `other` between them.

        An optimizer's phase begins where the range around it does, however late its hook was.
        """
        ranges = sorted(_optimizer_ranges(trace))
        base = trace.base_unix_ns
        found = []
        for span in spans:
            start, end = span.start_ns - base, span.end_ns - base
            before = bisect_right(ranges, (start, _NEVER)) - 1
            if span.phase == "optimizer" and before >= 0 and start < ranges[before][1]:
                start = ranges[before][0]
            found.append((start - LEAD_NS, end, span.phase))
        return cls(found, "other")

    def at(self, at_ns: int) -> str:
        """The phase of a moment."""
        return self._phases[bisect_right(self._ends, at_ns)]

    def changes(self, start_ns: int, end_ns: int) -> bool:
        """Whether another phase begins between two moments."""
        return bisect_right(self._ends, start_ns) != bisect_right(self._ends, end_ns)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(zip(self._phases, self._ends, strict=True))

    def _append(self, phase: str, end: int) -> None:
        if self._phases and self._phases[-1] == phase:
            self._ends[-1] = end
        else:
            self._phases.append(phase)
            self._ends.append(end)


def _optimizer_ranges(trace: TraceWindow) -> Iterator[tuple[int, int]]:
    for track in trace.tracks:
        ours = {name for name in set(track.names) if name.startswith(_OPTIMIZER)}
        if ours:
            events = zip(track.names, track.start_ns, track.duration_ns, strict=True)
            yield from ((start, start + took) for name, start, took in events if name in ours)


def named(names: Iterable[str]) -> dict[str, str]:
    """Of these names, those by which PyTorch marks a phase, with the phase."""
    found = {}
    for name in set(names):
        phase = next((phase for prefix, phase in _NAMED if name.startswith(prefix)), None)
        if phase is None and _BACKWARD_NODE.match(name):
            phase = "backward"
        if phase is not None:
            found[name] = phase
    return found


def from_names(trace: TraceWindow) -> Segments:
    """From PyTorch's own marks: autograd's engine, optimizer and data loader annotations."""
    spans: list[tuple[int, int, str]] = []
    for track in trace.tracks:
        phases = named(track.names)
        if not phases:
            continue
        for name, start, duration in zip(
            track.names, track.start_ns, track.duration_ns, strict=True
        ):
            if name in phases:
                spans.append((start, start + duration, phases[name]))
    return Segments(spans, "forward")
