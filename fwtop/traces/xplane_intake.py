"""The gate through which a file's events reach a window: counts them, and keeps out insane times.

Owns the limits on a window as a whole; what an event means is others' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fwtop.traces.blocks import Limits
from fwtop.traces.model import TraceWindow
from fwtop.traces.xplane_file import Value, XPlaneFile
from fwtop.traces.xplane_pb2 import Event, Line

_MOST_PS = 1_000 << 44
"""4.9 hours: a longer event is damage."""
_MOST_NS = 1 << 61
"""What a time, and the sum of all durations, may come to, so that sums of them fit 64 bits."""


class Batch(NamedTuple):
    """Events of a line as columns."""

    events: Sequence[Event]
    ids: Sequence[int]
    offsets_ps: Sequence[int]
    durations_ps: Sequence[int]


class Intake:
    """Reads lines for a window, within the limits. Times are `start_unix_ns` and later."""

    def __init__(self, file: XPlaneFile, limits: Limits, start_unix_ns: int):
        self.window = TraceWindow(start_unix_ns)
        self._file = file
        self._limits = limits
        self._sum_ns = 0
        self._left_out = False

    def parts(self, place: tuple[int, int]) -> Iterable[Line]:
        """A line in parts; none where the window is full."""
        room = self._limits.events - self.window.event_count
        if room > 0:
            return self._file.parts(place, room)
        self._left_out = True
        return ()

    def events(self, part: Line) -> list[Event]:
        """A part's events, counted, as far as the limit allows."""
        events = list(part.events)
        room = self._limits.events - self.window.event_count
        if len(events) > room:
            self._left_out = True
            del events[max(0, room) :]
        self.window.event_count += len(events)
        return events

    def base(self, line: Line) -> int:
        """A line's time on the window's axis; some writers give the absolute time already."""
        start, at = self.window.base_unix_ns, line.timestamp_ns
        return at - start if at >= start > 0 else at

    def _accept(self, base: int, offsets: Sequence[int], durations: Sequence[int]) -> bool:
        """Whether the times of all these events, in picoseconds, are sane; if so they count."""
        if not offsets:
            return True
        total = sum(durations) // 1000
        sound = (
            0 <= min(durations) <= max(durations) < _MOST_PS
            and abs(base) + max(abs(min(offsets)), abs(max(offsets))) // 1000 < _MOST_NS
            and self._sum_ns + total < _MOST_NS
        )
        if sound:
            self._sum_ns += total
        return sound

    def sane(self, base: int, events: Sequence[Event], ids: Sequence[int]) -> Iterator[Batch]:
        """These events of a line, whose metadata ids are `ids`: together, or, where the times of
        one are insane, one by one without it. What is given counts."""
        batch = Batch(
            events,
            ids,
            [event.offset_ps for event in events],
            [event.duration_ps for event in events],
        )
        if self._accept(base, batch.offsets_ps, batch.durations_ps):
            yield batch
        elif len(events) == 1:
            self.drop()
        else:
            for event, key in zip(events, ids, strict=True):
                yield from self.sane(base, (event,), (key,))

    def times(self, base: int, event: Event) -> tuple[int, int] | None:
        """One event's start and duration in nanoseconds; None, and dropped, if they are insane."""
        offset, duration = event.offset_ps, event.duration_ps
        start, taken = nanoseconds(base, offset), (duration + 500) // 1000
        if not (
            0 <= duration < _MOST_PS
            and -_MOST_NS < start < _MOST_NS
            and self._sum_ns + taken < _MOST_NS
        ):
            self.drop()
            return None
        self._sum_ns += taken
        return start, taken

    def drop(self) -> None:
        """Leave out an event that is damaged."""
        self.window.dropped_count += 1

    def finish(self) -> TraceWindow:
        """The window, with notes of what is missing."""
        window = self.window
        window.dropped_count += self._file.dropped_count
        window.notes += self._file.damage
        if self._left_out:
            window.notes.append(f"only the first {self._limits.events:,} events were read")
        if window.dropped_count:
            window.notes.append(f"{window.dropped_count:,} damaged events were left out")
        return window


def nanoseconds(base: int, offset_ps: int) -> int:
    """A start on the window's axis."""
    return base + (offset_ps + 500) // 1000


def integer(values: Mapping[str, Value], name: str) -> int:
    """A stat that is a whole number; 0 where there is none."""
    value = values.get(name)
    return value if isinstance(value, int) else 0
