"""An XSpace file as planes whose lines are read one after the other, in bounded parts.

Owns the file, the bounds on it and what of a damaged one is whole; it knows the messages and not
what their names mean. A truncated file yields its whole planes, and of the plane and the line in
which it breaks off the whole lines and events.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import DecodeError

from fwtop.traces.blocks import Limits
from fwtop.traces.model import TraceError
from fwtop.traces.protobuf_wire import BROKEN, BYTES, fields, runs
from fwtop.traces.xplane_pb2 import EventMetadata, Line, Plane, Stat

_PLANES, _HOSTNAMES, _LINES = 1, 4, 3
"""Field numbers: of an XSpace its planes and hosts, of an XPlane its lines."""
_PART_BYTES = 1 << 20
"""What is parsed at once; protobuf needs up to some thirty times as much memory for it."""
_MOST_PLANES = 10_000
_MOST_LINES = 100_000
_MOST_METADATA = 1_000_000
"""Names of events and of stats in a file; as many fields are walked outside of lines."""
_LONGEST_NAME = 8_192
_READ_STATS = """
correlation_id annotation tf_op hlo_op hlo_module shape memcpy_details memset_details
allocation_bytes allocator_name bytes_allocated addr step step_num profile_start_time gpu_model
"""
"""The stats that are read; others cost no object. HLO modules are the stats of bytes."""
_GZIP = b"\x1f\x8b"
_REMEDY = "Give an XSpace (*.xplane.pb), as TensorFlow's or JAX's profiler writes it."

_READ = frozenset(_READ_STATS.split())

Value = int | float | str


@dataclass(slots=True)
class PlaneIndex:
    """A plane without its events."""

    name: str = ""
    event_names: dict[int, EventMetadata] = field(default_factory=dict)
    stat_names: dict[int, str] = field(default_factory=dict)
    stats: dict[str, Value] = field(default_factory=dict)
    lines: list[tuple[int, int]] = field(default_factory=list)
    """Where each line lies in the file."""
    read_stats: dict[int, str] = field(default_factory=dict)
    """The ids of the stats that are read."""
    stat_ids: dict[str, int] = field(default_factory=dict)
    """The same by name."""

    _positions: dict[str, int] = field(default_factory=dict)
    """Where a stat was among an event's, last time: the same events have the same order."""

    def integer(self, stats: Sequence[Stat], name: str) -> int:
        """One stat that is a whole number; 0 where there is none."""
        stat = self._find(stats, name)
        return 0 if stat is None else stat.int64_value or stat.uint64_value

    def text(self, stats: Sequence[Stat], name: str) -> str:
        """One stat that is a text; "" where there is none."""
        stat = self._find(stats, name)
        if stat is None:
            return ""
        return self.stat_names.get(stat.ref_value, "") or text(stat.str_value)

    def _find(self, stats: Sequence[Stat], name: str) -> Stat | None:
        wanted, at = self.stat_ids.get(name), self._positions.get(name, 0)
        if at < len(stats) and stats[at].metadata_id == wanted:
            return stats[at]
        for at, stat in enumerate(stats):
            if stat.metadata_id == wanted:
                self._positions[name] = at
                return stat
        return None

    def values(self, stats: Iterable[Stat]) -> dict[str, Value]:
        """The values of a message's stats, by name; a reference is followed to its text."""
        found: dict[str, Value] = {}
        wanted = self.read_stats
        for stat in stats:
            name = wanted.get(stat.metadata_id)
            kind = stat.WhichOneof("value") if name is not None else None
            if name is None or kind is None:
                continue
            value: Value | bytes = getattr(stat, kind)
            if kind == "ref_value":
                value = self.stat_names.get(stat.ref_value, "")
            found[name] = text(value) if isinstance(value, bytes) else value
        return found

    def marks(self, stats: Iterable[Stat]) -> frozenset[str]:
        """The names of a message's stats, of those that are read."""
        wanted = self.read_stats
        names = [wanted.get(stat.metadata_id) for stat in stats]
        return frozenset([name for name in names if name is not None])


class XPlaneFile:
    """A file's planes. `damage` and `dropped_count` grow while it is read."""

    def __init__(self, path: Path, limits: Limits):
        self.path = path
        self.planes: list[PlaneIndex] = []
        self.hostnames: list[str] = []
        self.damage: list[str] = []
        """What is missing, in words."""
        self.dropped_count = 0
        self._limits = limits
        self._metadata_left = _MOST_METADATA
        self._lines_left = _MOST_LINES
        self._data = _contents(path, limits, self.damage)
        self._index()

    def parts(self, line: tuple[int, int], most_events: int) -> Iterator[Line]:
        """A line, in parts that each have its events' next stretch; the first has its name."""
        at, end = line
        if end - at <= _PART_BYTES:
            try:
                yield Line.FromString(self._data[at:end])
                return
            except DecodeError:
                pass  # what is whole comes out below
        for number, start, stop in runs(self._data, at, end, -1, _PART_BYTES, most_events + 16):
            if number == BROKEN:
                self._broke_off(start)
            elif stop - start > max(self._limits.event_bytes, _PART_BYTES):
                self._drop()
            else:
                yield from self._lines_in(start, stop)

    def _lines_in(self, start: int, stop: int) -> Iterator[Line]:
        try:
            yield Line.FromString(self._data[start:stop])
        except DecodeError:
            for _, _, at, _, end in fields(self._data, start, stop):
                try:
                    yield Line.FromString(self._data[at:end])
                except DecodeError:
                    self._drop()

    def _index(self) -> None:
        data = self._data
        for number, start, stop in runs(
            data, 0, len(data), _PLANES, _PART_BYTES, _MOST_PLANES
        ):  # fmt: skip
            if number == _PLANES:
                self.planes.append(self._plane(start, stop))
            elif number == BROKEN:
                self._broke_off(start)
            else:
                self.hostnames += self._hostnames_in(start, stop)
        self.planes = [plane for plane in self.planes if plane.name]
        if not self.planes:
            what = "there is no profiler plane in it" if data else "the file is empty"
            raise TraceError(self.path, what, _REMEDY)

    def _hostnames_in(self, start: int, stop: int) -> list[str]:
        return [
            text(self._data[at:end])
            for number, wire, _, at, end in fields(self._data, start, stop)
            if number == _HOSTNAMES and wire == BYTES
        ][:_MOST_PLANES]

    def _plane(self, at: int, end: int) -> PlaneIndex:
        plane = PlaneIndex()
        parts: list[Plane] = []
        for number, start, stop in runs(
            self._data, at, end, _LINES, _PART_BYTES, self._metadata_left
        ):
            if number == _LINES:
                self._lines_left -= 1
                if self._lines_left >= 0:
                    plane.lines.append((start, stop))
            elif number == BROKEN:
                self._broke_off(start)
            else:
                parts += self._planes_in(start, stop)
        for part in parts:
            plane.name = plane.name or text(part.name)
            for key, metadata in part.stat_metadata.items():
                name = plane.stat_names[key] = text(metadata.name)
                if name in _READ:
                    plane.read_stats[key] = name
                    plane.stat_ids[name] = key
        for part in parts:
            plane.event_names.update(part.event_metadata.items())
            plane.stats.update(plane.values(part.stats))
            self._metadata_left -= len(part.event_metadata) + len(part.stat_metadata)
        self._metadata_left = max(0, self._metadata_left)
        return plane

    def _planes_in(self, start: int, stop: int) -> Iterator[Plane]:
        try:
            yield Plane.FromString(self._data[start:stop])
        except DecodeError:
            for _, _, at, _, end in fields(self._data, start, stop):
                try:
                    yield Plane.FromString(self._data[at:end])
                except DecodeError:
                    self._drop()

    def _drop(self) -> None:
        self.dropped_count += 1

    def _broke_off(self, at: int) -> None:
        note = f"the file is truncated or damaged at byte {at:,}; what was whole was read"
        if not self.damage:
            self.damage.append(note)


def text(value: bytes) -> str:
    """A name, cut if it is absurdly long; what is not UTF-8 in it is replaced."""
    return str(value[:_LONGEST_NAME], "utf-8", "replace")


def _contents(path: Path, limits: Limits, damage: list[str]) -> bytes:
    """The file's bytes, inflated if it is gzip. Raises TraceError."""
    try:
        if not path.is_file():
            what = "it is no regular file" if path.exists() else "there is no such file"
            raise TraceError(path, what, "Check the path.")
        with path.open("rb") as file:
            data = file.read(limits.file_bytes + 1)
    except OSError as error:
        what = f"it cannot be read ({error.strerror})"
        raise TraceError(path, what, "Check path and permissions.") from error
    if len(data) > limits.file_bytes:
        raise _too_large(path, limits.file_bytes)
    return _inflated(path, data, limits, damage) if data.startswith(_GZIP) else data


def _inflated(path: Path, data: bytes, limits: Limits, damage: list[str]) -> bytes:
    most = min(limits.inflated_bytes, limits.file_bytes)
    inflater = zlib.decompressobj(wbits=31)
    try:
        found = inflater.decompress(data, most + 1)
    except zlib.error:
        found = _inflated_until_damage(data, most)
    if len(found) > most:
        raise _too_large(path, most)
    if not inflater.eof:
        damage.append("the gzip stream ends early or is damaged; what was whole was read")
    return found


def _inflated_until_damage(data: bytes, most: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    found = bytearray()
    step = 4_096
    for at in range(0, len(data), step):
        try:
            found += inflater.decompress(data[at : at + step], most + 1)
        except zlib.error:
            break
        if len(found) > most:
            break
    return bytes(found)


def _too_large(path: Path, most: int) -> TraceError:
    what = f"it has more than {most:,} bytes"
    return TraceError(path, what, "Trace fewer steps, or raise the limit.")
