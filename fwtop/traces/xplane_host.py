"""The threads of a host in an XPlane file: operators, launches, steps, input, frames and memory.

Fast, because a thread has many events: a part of a line becomes columns, and what an event is
depends on its metadata id alone, so that it is worked out once for each id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import compress

from fwtop.traces.model import (
    ANNOTATION,
    FRAME,
    LAUNCH,
    OPERATOR,
    InputEvent,
    MemoryEvent,
    Track,
)
from fwtop.traces.xplane_file import PlaneIndex, text
from fwtop.traces.xplane_hlo import HloNames
from fwtop.traces.xplane_intake import Batch, Intake, nanoseconds
from fwtop.traces.xplane_names import (
    FETCH,
    HLO,
    INPUT_LINES,
    MEMORY,
    NOTHING,
    STAGE,
    STEP,
    Meaning,
    of_name,
    of_stats,
)
from fwtop.traces.xplane_pb2 import Event, EventMetadata

STEP_MARK = "ProfilerStep#"
"""What the model calls the mark of a step, followed by its number."""
_IS_ROW = bytes(int(kind in (OPERATOR, LAUNCH)) for kind in range(256))
_IS_STAGE = bytes(int(kind == STAGE) for kind in range(256))
_IS_SPECIAL = bytes(int(kind in (STEP, HLO, FETCH)) for kind in range(256))
_IS_DETAIL = bytes(int(kind in (STEP, HLO, FETCH, MEMORY, FRAME)) for kind in range(256))
_MOST_BYTES = 1 << 50
_DEVICE_ALLOCATOR = re.compile(r"(?i)(?:GPU|TPU)_?(\d{1,4})?(?!_?host)")
"""Those of the host's memory that a device can reach are called `gpu_host_bfc` and the like."""


class HostThreads:
    """Gathers the tracks, by thread id: a device's tracer has a plane of its own for its calls."""

    def __init__(self, intake: Intake, hlo: HloNames, details: bool):
        self._intake = intake
        self._hlo = hlo
        self._details = details
        self._tracks: dict[int, Track] = {}
        self._frames: dict[int, Track] = {}

    def take(self, plane: PlaneIndex) -> None:
        """Take a plane's lines."""
        dictionaries = (
            _Dictionary(plane, False, self._details),
            _Dictionary(plane, True, self._details),
        )
        for place in plane.lines:
            line: _Line | None = None
            for part in self._intake.parts(place):
                if line is None:
                    on_input = text(part.name).startswith(INPUT_LINES)
                    line = _Line(part.id, self._intake.base(part), dictionaries[on_input])
                self._take_part(line, self._intake.events(part))
            if line is not None:
                self._take_fetches(line)

    def finish(self) -> None:
        """Put what was gathered into the window, in order."""
        window = self._intake.window
        window.tracks = [track for track in self._tracks.values() if len(track)]
        window.frames = list(self._frames.values())
        for track in (*window.tracks, *window.frames):
            track.arrange()

    def _take_part(self, line: _Line, events: Sequence[Event]) -> None:
        ids = [event.metadata_id for event in events]
        kinds = line.dictionary.kinds(ids, events)
        rows = kinds.translate(_IS_ROW)
        if any(rows):
            for batch in self._sane(line, events, ids, rows):
                self._take_rows(line, batch)
        stages = kinds.translate(_IS_STAGE)
        if any(stages):
            for batch in self._sane(line, events, ids, stages):
                self._take_stages(line, batch)
        special = kinds.translate(_IS_DETAIL if self._details else _IS_SPECIAL)
        if any(special):
            for event in compress(events, special):
                self._take_special(line, event, line.dictionary.meanings[event.metadata_id])

    def _sane(
        self, line: _Line, events: Sequence[Event], ids: Sequence[int], chosen: Sequence[int]
    ) -> Iterator[Batch]:
        return self._intake.sane(
            line.base, list(compress(events, chosen)), list(compress(ids, chosen))
        )

    def _take_rows(self, line: _Line, batch: Batch) -> None:
        base, meanings = line.base, line.dictionary.meanings
        track = self._track(line.thread)
        of = [meanings[key] for key in batch.ids]
        before = len(track)
        track.names += [meaning.name for meaning in of]
        track.start_ns += [base + (offset + 500) // 1000 for offset in batch.offsets_ps]
        track.duration_ns += [(duration + 500) // 1000 for duration in batch.durations_ps]
        kinds = bytes([meaning.kind for meaning in of])
        track.kinds += kinds
        _column(track.phases).extend([meaning.phase for meaning in of])
        if LAUNCH in kinds and track.correlations is None:
            track.correlations = [0] * before
        if track.correlations is not None:
            track.correlations += [
                line.dictionary.correlation(event) if kind == LAUNCH else 0
                for event, kind in zip(batch.events, kinds, strict=True)
            ]
        if self._details:
            _column(track.modules).extend([meaning.scope for meaning in of])
            _column(track.shapes).extend(map(line.dictionary.shape, batch.ids, batch.events))

    def _take_stages(self, line: _Line, batch: Batch) -> None:
        base, meanings, thread = line.base, line.dictionary.meanings, line.thread
        self._intake.window.input_events += [
            InputEvent(thread, path, base + (offset + 500) // 1000, (duration + 500) // 1000)
            for key, offset, duration in zip(
                batch.ids, batch.offsets_ps, batch.durations_ps, strict=True
            )
            if (path := meanings[key].name)
        ]

    def _take_special(self, line: _Line, event: Event, meaning: Meaning) -> None:
        plane, times = line.dictionary.plane, self._intake.times(line.base, event)
        if times is None:
            return
        if meaning.kind == FETCH:
            line.fetches.append((*times, meaning))
        elif meaning.kind == FRAME:
            frames = self._frames.setdefault(line.thread, Track(line.thread))
            _append(frames, meaning.name, FRAME, *times)
        elif meaning.kind == MEMORY:
            self._take_memory(line, event, meaning)
        elif meaning.kind == STEP:
            number = plane.integer(event.stats, "step_num") or plane.integer(event.stats, "step")
            self._append(line.thread, Meaning(ANNOTATION, f"{STEP_MARK}{number}"), *times)
        else:
            module = plane.text(event.stats, "hlo_module")
            known = self._hlo.of(module, plane.text(event.stats, "hlo_op"))
            if known.kind == OPERATOR:
                self._append(line.thread, known, *times)

    def _take_memory(self, line: _Line, event: Event, meaning: Meaning) -> None:
        plane, stats = line.dictionary.plane, event.stats
        size = plane.integer(stats, "allocation_bytes")
        if not 0 <= size < _MOST_BYTES:
            self._intake.drop()
            return
        allocator = plane.text(stats, "allocator_name")
        found = _DEVICE_ALLOCATOR.match(allocator)
        taken = meaning.name == "MemoryAllocation"
        allocated = plane.integer(stats, "bytes_allocated")
        self._intake.window.memory_events.append(
            MemoryEvent(
                line.thread,
                nanoseconds(line.base, event.offset_ps),
                size if taken else -size,
                on_device=found is not None,
                address=plane.integer(stats, "addr") or None,
                device=int(found[1] or 0) if found else 0,
                allocated_bytes=allocated if 0 < allocated < _MOST_BYTES else None,
                allocator=allocator,
                operator=plane.text(stats, "tf_op") if taken else "",
            )
        )

    def _take_fetches(self, line: _Line) -> None:
        """The waits for input; not those within an operator that was traced on the same thread."""
        track = self._tracks.get(line.thread)
        traced = set() if track is None else set(track.names)
        for start, duration, meaning in line.fetches:
            if meaning.name not in traced:
                self._append(line.thread, meaning, start, duration)

    def _append(self, thread: int, meaning: Meaning, start: int, duration: int) -> None:
        track = self._track(thread)
        kind = ANNOTATION if meaning.kind == ANNOTATION else OPERATOR
        _append(track, meaning.name, kind, start, duration)
        _column(track.phases).append(meaning.phase)
        if track.correlations is not None:
            track.correlations.append(0)
        if self._details:
            _column(track.modules).append(meaning.scope)
            _column(track.shapes).append("")

    def _track(self, thread: int) -> Track:
        track = self._tracks.get(thread)
        if track is None:
            track = self._tracks[thread] = Track(thread, phases=[])
            if self._details:
                track.modules, track.shapes = [], []
        return track


class _Dictionary:
    """What a plane's metadata ids mean on threads of one sort, as far as it was asked."""

    def __init__(self, plane: PlaneIndex, on_input: bool, details: bool):
        self.plane = plane
        self.meanings: dict[int, Meaning] = {}
        self._kinds: dict[int, int] = {}
        self._with_shapes: set[int] = set()
        self._on_input = on_input
        self._details = details

    def kinds(self, ids: Sequence[int], events: Sequence[Event]) -> bytearray:
        """The kind of each event; that of a new id from its first event."""
        new = set(ids) - self._kinds.keys()
        if new:
            first = dict(zip(reversed(ids), reversed(events), strict=True))
            for key in new:
                self._learn(key, first[key])
        return bytearray(map(self._kinds.__getitem__, ids))

    def shape(self, key: int, event: Event) -> str:
        """An operator's input shapes, as the trace writes them; "" for none."""
        if key not in self._with_shapes:
            return ""
        return self.plane.text(event.stats, "shape")

    def correlation(self, event: Event) -> int:
        """A launch's correlation id; 0 for none."""
        return self.plane.integer(event.stats, "correlation_id")

    def _learn(self, key: int, event: Event) -> None:
        known = self.plane.event_names.get(key)
        meaning = NOTHING
        if known is not None:
            name = text(known.name)
            meaning = of_name(name, self._on_input) or of_stats(name, self._marks(known, event))
            if self._details and "shape" in self._marks(known, event):
                self._with_shapes.add(key)
        self.meanings[key] = meaning
        self._kinds[key] = meaning.kind

    def _marks(self, known: EventMetadata, event: Event) -> frozenset[str]:
        return self.plane.marks(event.stats) | self.plane.marks(known.stats)


class _Line:
    """A line while it is read."""

    def __init__(self, thread: int, base: int, dictionary: _Dictionary):
        self.thread = thread
        self.base = base
        self.dictionary = dictionary
        self.fetches: list[tuple[int, int, Meaning]] = []


def _append(track: Track, name: str, kind: int, start: int, duration: int) -> None:
    track.names.append(name)
    track.start_ns.append(start)
    track.duration_ns.append(duration)
    track.kinds.append(kind)


def _column(column: list[str] | None) -> list[str]:
    assert column is not None
    return column
