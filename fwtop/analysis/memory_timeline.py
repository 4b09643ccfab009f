"""Memory over a deep window, and what held it at the peak: from the allocators' own events. Pure.

What was given back is matched with what was taken by address where the trace has addresses. Where
it has none, what was given back is taken to be the newest of the same size that is still held: the
sums of a size are right all the same, and whose they are is right where memory is given back in
the reverse order, as activations are. What was taken before the window and given back within it
lowers the line and is no operator's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from fwtop.analysis.nesting import NOBODY, Nest, innermost
from fwtop.analysis.results import MemoryHolder, MemoryPoint
from fwtop.traces.model import OPERATOR, MemoryEvent, ThreadKey, TraceWindow

MOST_POINTS = 2_000
"""Of a device's line that are kept."""
MOST_HOLDERS = 100
"""Operators of a device that are kept, those that hold most."""
BEFORE = "(held since before the window)"
"""The holder of what was taken before the window, where the allocator tells how much that was."""
UNKNOWN_HOLDER = "(outside of operators)"
_FUNCTION = "__inference_"
"""What TensorFlow puts before the name of a function that it traced; XLA's buffers are its."""
_NUMBER = re.compile(r"_\d+\Z")
"""What a graph's operators of one name differ by."""
_TAKERS = frozenset(
    f"aten::{name}"
    for name in (
        "empty", "empty_strided", "empty_like", "empty_permuted", "new_empty", "resize_",
        "new_empty_strided", "_empty_affine_quantized",
    )
)  # fmt: skip
"""Operators that only take memory, for the one that called them."""


def memory_timeline(
    trace: TraceWindow, nests: Sequence[Nest]
) -> tuple[tuple[MemoryPoint, ...], tuple[MemoryHolder, ...]]:
    """The line of each device, thinned so that its peak is kept, and who held what at the peak."""
    begin = _begin(trace)
    nest_of = {nest.track.thread: nest for nest in nests}
    points: list[MemoryPoint] = []
    holders: list[MemoryHolder] = []
    for device, events in _by_device(trace.memory_events).items():
        line = _line(events)
        points += [MemoryPoint(device, at - begin, held) for at, held in thinned(line)]
        peak, _ = peak_of(held for _, held in line)
        operators = (_operator(event, nest_of) for event in events[: peak + 1])
        found = held_at_end(events[: peak + 1], operators)
        before = _before(events, peak, sum(found.values()))
        if before:
            found[BEFORE] = before
        most = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:MOST_HOLDERS]
        holders += [MemoryHolder(device, name, held) for name, held in most]
    return tuple(points), tuple(holders)


def thinned(line: Sequence[tuple[int, int]], most: int = MOST_POINTS) -> list[tuple[int, int]]:
    """At most `most` points, one a time: of each stretch its highest and its last.

    `line` is (ns, bytes) in order of time. The highest point of all is kept.
    """
    latest: dict[int, tuple[int, int]] = {}
    for at, held in line:
        known = latest.get(at)
        latest[at] = (held, held if known is None else max(held, known[1]))
    times = sorted(latest)
    if not times:
        return []
    first, span = times[0], max(1, times[-1] - times[0])
    stretches: dict[int, list[int]] = {}
    count = max(1, most // 2)
    for at in times:
        held, highest = latest[at]
        stretch = stretches.setdefault((at - first) * (count - 1) // span, [at, highest, at, held])
        if highest > stretch[1]:
            stretch[:2] = at, highest
        stretch[2:] = at, held
    found: dict[int, int] = {}
    for peak_at, highest, end_at, held in stretches.values():
        if peak_at == end_at:
            found[peak_at] = highest
        else:
            found[peak_at], found[end_at] = highest, held
    return sorted(found.items())


def peak_of(line: Iterable[int]) -> tuple[int, int]:
    """Where a line is highest (the first such point) and how high; -1 and 0 if never above 0."""
    at, highest = -1, 0
    for index, held in enumerate(line):
        if held > highest:
            at, highest = index, held
    return at, highest


def held_at_end(events: Sequence[MemoryEvent], operators: Iterable[str]) -> dict[str, int]:
    """What of each operator's memory has not been given back by the last of `events`.

    `operators` are those of the events; of one that gives back it is not looked at.
    """
    held: dict[str, int] = defaultdict(int)
    by_address: dict[tuple[str, int], tuple[str, int]] = {}
    by_size: dict[int, list[str]] = defaultdict(list)
    for event, operator in zip(events, operators, strict=True):
        size = abs(event.bytes)
        key = (event.allocator, event.address or 0)
        if event.bytes > 0:
            held[operator] += size
            if event.address is None:
                by_size[size].append(operator)
            else:
                before = by_address.pop(key, None)
                if before is not None:  # its end is not in the trace
                    held[before[0]] -= before[1]
                by_address[key] = operator, size
        elif event.address is not None:
            taken = by_address.pop(key, None)
            if taken is not None:
                held[taken[0]] -= taken[1]
        elif by_size.get(size):
            held[by_size[size].pop()] -= size
    return {operator: size for operator, size in held.items() if size}


def _by_device(events: Iterable[MemoryEvent]) -> Mapping[str, list[MemoryEvent]]:
    """In order of time; what happened at the same time in the order of the trace."""
    found: dict[str, list[MemoryEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.at_ns):
        if event.bytes:
            found[f"cuda:{event.device}" if event.on_device else "cpu"].append(event)
    return found


def _line(events: Iterable[MemoryEvent]) -> list[tuple[int, int]]:
    """(ns, bytes held above what was at first) after each event."""
    held = 0
    sizes: dict[tuple[str, int], int] = {}
    line: list[tuple[int, int]] = []
    for event in events:
        held += event.bytes
        if event.address is not None:
            key = (event.allocator, event.address)
            before = sizes.pop(key, 0)
            if event.bytes > 0:
                held -= before  # its end is not in the trace
                sizes[key] = event.bytes
        line.append((event.at_ns, held))
    return line


def _before(events: Sequence[MemoryEvent], peak: int, held: int) -> int:
    """What was held at the peak and taken before the window; 0 where the allocators do not tell.

    An allocator tells what it has given out after each event; that less the event itself is what it
    had before. One that had nothing then may only count while it is watched.
    """
    first: dict[str, int] = {}
    for event in events:
        if event.allocator not in first:
            if event.allocated_bytes is None:
                return 0
            first[event.allocator] = max(0, event.allocated_bytes - event.bytes)
    at_peak = sum(first.values())
    if not at_peak:
        return 0
    line = _line(events[: peak + 1])
    return max(0, at_peak + (line[-1][1] if line else 0) - held)


def _operator(event: MemoryEvent, nest_of: Mapping[ThreadKey, Nest]) -> str:
    """The innermost operator on the thread that wanted the memory, or whom the event names."""
    nest = nest_of.get(event.thread) if event.bytes > 0 else None
    if nest is not None:
        track, parents = nest.track, nest.parents
        i = innermost(event.at_ns, track.start_ns, track.duration_ns, parents)
        found = ""
        while i != NOBODY:
            if track.kinds[i] == OPERATOR:
                found = track.names[i]
                if found not in _TAKERS:
                    break
            i = parents[i]
        if found:
            return found
    own = event.operator.rpartition("/")[2].removeprefix(_FUNCTION)
    return _NUMBER.sub("", own) or UNKNOWN_HOLDER


def _begin(trace: TraceWindow) -> int:
    """When the window's first event began."""
    starts = [track.start_ns[0] for track in (*trace.tracks, *trace.frames) if len(track)]
    others = chain(
        (event.start_ns for event in trace.device_events),
        (event.at_ns for event in trace.memory_events),
    )
    return min(chain(starts, others), default=0)
