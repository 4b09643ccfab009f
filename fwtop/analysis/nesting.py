"""Which event of a thread lies directly in which: by time, on a track in order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from fwtop.traces.model import Track

NOBODY = -1


class Nest:
    """A track with its nesting, worked out when it is first asked for."""

    def __init__(self, track: Track):
        self.track = track

    @cached_property
    def parents(self) -> list[int]:
        """See `parents`."""
        return parents(self.track.start_ns, self.track.duration_ns)

    @cached_property
    def self_ns(self) -> list[int]:
        """See `self_times`."""
        return self_times(self.track.start_ns, self.track.duration_ns, self.parents)


def parents(start_ns: Sequence[int], duration_ns: Sequence[int]) -> list[int]:
    """For each event the index of the one that encloses its start, NOBODY at the top."""
    found: list[int] = []
    stack: list[tuple[int, int]] = []
    for i, (start, duration) in enumerate(zip(start_ns, duration_ns, strict=True)):
        while stack and start >= stack[-1][0]:
            stack.pop()
        found.append(stack[-1][1] if stack else NOBODY)
        stack.append((start + duration, i))
    return found


def self_times(
    start_ns: Sequence[int], duration_ns: Sequence[int], parent: Sequence[int]
) -> list[int]:
    """For each event its time less its children's, in nanoseconds, at least 0."""
    own = list(duration_ns)
    for i, above in enumerate(parent):
        if above != NOBODY:
            end_of_parent = start_ns[above] + duration_ns[above]
            own[above] -= min(duration_ns[i], end_of_parent - start_ns[i])
    return [max(0, time_ns) for time_ns in own]


def innermost(
    at_ns: int, start_ns: Sequence[int], duration_ns: Sequence[int], parent: Sequence[int]
) -> int:
    """The innermost event that is open at a moment, NOBODY if none is."""
    i = bisect_right(start_ns, at_ns) - 1
    while i >= 0 and at_ns >= start_ns[i] + duration_ns[i]:
        i = parent[i]
    return i
