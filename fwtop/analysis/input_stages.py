"""The stages of an input pipeline: what each took, and which one the steps wait for. Pure.

A pipeline's stages run on several threads: one that works ahead (a prefetch, a parallel map) takes
its elements from below on threads of its own, so that time nested on one thread says who worked,
and not who was waited for. `waits` says that, from the stages' paths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from fwtop.analysis.results import InputStage
from fwtop.traces.model import InputEvent, ThreadKey, TraceWindow

BETWEEN = "::"
"""Parts the stages in a path."""
LOADER = "DataLoader"
"""The one stage that PyTorch's trace tells of."""
_LOADER_MARK = "enumerate(DataLoader)#"
_BUFFERS = frozenset({"Prefetch", "Root", "Model", "Options", "FiniteRepeat", "ForeverRepeat"})
"""Stages that only hand on: who waits for one, waits for what is below it."""
MATTERS = 0.05
"""The share of a step from which on a wait for one stage is worth pointing at: a step that waits
less for its whole input is no faster for a change to it than by noise."""
_NEVER = -(1 << 62)


class Stage(Protocol):
    """A stage's sums, of whatever row."""

    @property
    def path(self) -> str:
        """Outermost first."""

    @property
    def total_ns(self) -> int:
        """Its time, with that of the stages nested in it."""


def input_stages(trace: TraceWindow) -> tuple[InputStage, ...]:
    """The window's stages, by path, in order of the paths.

    Self time is without the stages nested in it on its thread; a stage within one of the same path
    is the same call.
    """
    threads: dict[ThreadKey, list[InputEvent]] = defaultdict(list)
    for event in (*trace.input_events, *_loaders(trace)):
        threads[event.thread].append(event)
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for events in threads.values():
        _add_thread(sums, events)
    return tuple(
        InputStage(path, calls, max(0, self_ns), total_ns)
        for path, (calls, self_ns, total_ns) in sorted(sums.items())
    )


def waits(stages: Iterable[Stage]) -> dict[str, int]:
    """What each stage is to blame for, of the time that the outermost stages took, in ns.

    From the outermost stage inwards: what was waited for a stage goes to the stages directly below
    it, as far as they took time, on whatever thread; what is left is the stage's own. One that only
    buffers has nothing of its own where something is below it. A stage that only the paths of
    others name took longer than the window and is charged with all that those below it did not
    take. The blame adds up to the outermost stages' total time.
    """
    totals: dict[str, int] = defaultdict(int)
    for stage in stages:
        totals[stage.path] += stage.total_ns
    below: dict[str, list[str]] = defaultdict(list)
    for path in sorted(_all_paths(totals)):
        below[path.rpartition(BETWEEN)[0]].append(path)
    blame: dict[str, int] = {}
    open_paths = [(path, totals.get(path, 0)) for path in below[""]]
    while open_paths:
        path, waited = open_paths.pop()
        inner = below[path]
        own, passed_on = _split(waited, path, [totals.get(one, 0) for one in inner])
        blame[path] = own
        open_paths += zip(inner, passed_on, strict=True)
    return blame


def worst(blame: Mapping[str, int], steps: int, step_ns: float | None) -> str | None:
    """The stage to begin with: what most of the time is waited for, if that is `MATTERS` of a
    step or more. None where it is less, or where a step's time is unknown.

    `blame` is what `waits` found over so many steps.
    """
    if not blame or not steps or not step_ns:
        return None
    path = max(blame, key=lambda one: blame[one])
    return path if blame[path] / steps >= MATTERS * step_ns else None


def last(path: str) -> str:
    """A stage's own name."""
    return path.rpartition(BETWEEN)[2]


def depth(path: str) -> int:
    """How many stages take its elements."""
    return path.count(BETWEEN)


def _split(waited: int, path: str, inner: Sequence[int]) -> tuple[int, list[int]]:
    """A wait for a stage as its own part and those of the stages below it."""
    if not inner:
        return waited, []
    whole = sum(inner)
    given = waited if last(path) in _BUFFERS else min(waited, whole)
    left, parts = given, []
    for took in inner[:-1]:
        parts.append(given * took // whole if whole else given // len(inner))
        left -= parts[-1]
    return waited - given, [*parts, left]


def _all_paths(paths: Iterable[str]) -> set[str]:
    """With those that are only there as a part of others."""
    found: set[str] = set()
    for path in paths:
        while path and path not in found:
            found.add(path)
            path = path.rpartition(BETWEEN)[0]
    return found


def _loaders(trace: TraceWindow) -> Iterator[InputEvent]:
    for track in trace.tracks:
        if not any(name.startswith(_LOADER_MARK) for name in set(track.names)):
            continue
        for name, start, duration in zip(
            track.names, track.start_ns, track.duration_ns, strict=True
        ):
            if name.startswith(_LOADER_MARK):
                yield InputEvent(track.thread, LOADER, start, duration)


def _add_thread(sums: Mapping[str, list[int]], events: list[InputEvent]) -> None:
    """Walk one thread's events in order, with the stack of those that are open."""
    events.sort(key=lambda event: (event.start_ns, -event.duration_ns))
    open_until: dict[str, int] = {}
    stack: list[tuple[int, list[int]]] = []
    for event in events:
        start, end = event.start_ns, event.start_ns + event.duration_ns
        while stack and start >= stack[-1][0]:
            stack.pop()
        row = sums[event.path]
        row[1] += event.duration_ns
        if stack:
            end_above, above = stack[-1]
            # One that outlives its parent (clocks, rounding) takes what lies within.
            above[1] -= min(end, end_above) - start
        if start >= open_until.get(event.path, _NEVER):
            row[0] += 1
            row[2] += event.duration_ns
            open_until[event.path] = end
        stack.append((end, row))
