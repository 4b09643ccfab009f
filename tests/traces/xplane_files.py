"""Small XPlane files for tests, written field by field as the profiler writes them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fwtop.traces.xplane_pb2 import EventMetadata, HloInstruction, Line, OpMetadata, Plane, Stat

DATA = Path(__file__).parent / "data"
START_UNIX_NS = 1_795_415_765_713_784_474
StatValue = int | float | str | bytes


def length_delimited(number: int, data: bytes) -> bytes:
    size, prefix = len(data), bytearray([number << 3 | 2])
    while size > 127:
        prefix.append(size & 127 | 128)
        size >>= 7
    return bytes(prefix) + bytes([size]) + data


@dataclass
class Event:
    """Times in nanoseconds after the line's start."""

    name: str
    start_ns: float
    duration_ns: float
    stats: dict[str, StatValue] = field(default_factory=dict)


class PlaneWriter:
    """A plane in the making; names become metadata as they come."""

    def __init__(self, name: str):
        self._plane = Plane(name=name.encode())
        self._lines = b""
        self._stats: dict[str, int] = {}
        self._events: dict[str, int] = {}

    def line(
        self, name: str, events: Iterable[Event], at_ns: int = 0, number: int = 7
    ) -> PlaneWriter:  # fmt: skip
        line = Line(id=number, name=name.encode(), timestamp_ns=at_ns)
        for event in events:
            line.events.add(
                metadata_id=self._event(event.name),
                offset_ps=int(event.start_ns * 1000),
                duration_ps=int(event.duration_ns * 1000),
                stats=[self._stat(*item) for item in event.stats.items()],
            )
        self._lines += length_delimited(3, line.SerializeToString())
        return self

    def stat(self, name: str, value: StatValue) -> PlaneWriter:
        self._plane.stats.append(self._stat(name, value))
        return self

    def module(self, name: str, proto: bytes) -> PlaneWriter:
        metadata = EventMetadata(name=name.encode(), stats=[self._stat("Hlo Proto", proto)])
        self._plane.event_metadata[len(self._events) + 1].CopyFrom(metadata)
        self._events[name] = len(self._events) + 1
        return self

    def done(self) -> bytes:
        return self._plane.SerializeToString() + self._lines

    def _event(self, name: str) -> int:
        number = self._events.setdefault(name, len(self._events) + 1)
        self._plane.event_metadata[number].name = name.encode()
        return number

    def _stat(self, name: str, value: StatValue) -> Stat:
        number = self._stats.setdefault(name, len(self._stats) + 1)
        self._plane.stat_metadata[number].name = name.encode()
        if isinstance(value, bytes):
            return Stat(metadata_id=number, bytes_value=value)
        if isinstance(value, float):
            return Stat(metadata_id=number, double_value=value)
        if isinstance(value, int):
            return Stat(metadata_id=number, int64_value=value)
        return Stat(metadata_id=number, str_value=value.encode())


def hlo_proto(
    *computations: Iterable[tuple[str, str, str]], called: Mapping[str, int] | None = None
) -> bytes:
    """Of (instruction, operator's type, operator's path); the computations have the ids 1, 2 …

    `called` says which computation an instruction calls.
    """
    module = b""
    for number, instructions in enumerate(computations, 1):
        computation: bytes = b"".join(
            length_delimited(
                2,
                HloInstruction(
                    name=name.encode(),
                    opcode=b"fusion",
                    metadata=OpMetadata(op_type=kind.encode(), op_name=path.encode()),
                    called_computation_ids=[called[name]] if called and name in called else [],
                ).SerializeToString(),
            )
            for name, kind, path in instructions
        )
        module += length_delimited(3, computation + bytes([5 << 3, number]))
    return length_delimited(1, module)


def environment() -> PlaneWriter:
    return PlaneWriter("Task Environment").stat("profile_start_time", START_UNIX_NS)


def space(*planes: PlaneWriter) -> bytes:
    return b"".join(length_delimited(1, plane.done()) for plane in planes)


def write(path: Path, *planes: PlaneWriter) -> Path:
    path.write_bytes(space(*planes))
    return path


def real(name: str) -> bytes:
    """One of the kept files, inflated."""
    return gzip.decompress((DATA / f"{name}.xplane.pb.gz").read_bytes())
