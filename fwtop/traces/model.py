"""The one model that every trace format becomes: a window of host and device events.

Owns the shape only; it reads nothing. Host events are kept column by column, because a window has
many of them and Python pays for every object. Times are integer nanoseconds since
`TraceWindow.base_unix_ns`. A column that the trace lacks is None.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from itertools import compress, islice
from operator import and_, eq, itemgetter, lt
from pathlib import Path

from msgspec import Struct

OPERATOR = 0
"""Kind of a host event: an operator of the framework."""
ANNOTATION = 1
"""Kind: a range that the user or the framework named (`record_function`, `Optimizer.step#…`)."""
LAUNCH = 2
"""Kind: a call of the device's runtime or driver; it may have launched something."""
FRAME = 3
"""Kind: a Python function, or the forward of an `nn.Module`."""

KERNEL = "kernel"
MEMCPY = "memcpy"
MEMSET = "memset"

ThreadKey = int | str

LONGEST_NS = 1 << 44
"""Longer than any event (4.9 hours), so that start and duration make one sort key; readers drop
what is longer."""


class TraceError(Exception):
    """A trace that cannot be read: what failed, where in which file, and what to do next."""

    def __init__(self, path: Path | str, what: str, remedy: str, at_byte: int | None = None):
        self.path = os.fsencode(path).decode("utf-8", "replace")  # a name may be any bytes
        self.what = what
        self.remedy = remedy
        self.at_byte = at_byte
        self.place = self.path + ("" if at_byte is None else f", byte {at_byte:,}")
        super().__init__(f"{self.place}: {what}. {remedy}")


@dataclass(slots=True)
class Track:
    """The host events of one thread; after `arrange`, by start, an enclosing event first."""

    thread: ThreadKey
    names: list[str] = field(default_factory=list)
    start_ns: list[int] = field(default_factory=list)
    duration_ns: list[int] = field(default_factory=list)
    kinds: bytearray = field(default_factory=bytearray)
    correlations: list[int] | None = None
    """Of a launch: what it launched has the same one; 0 for none."""
    external_ids: list[int] | None = None
    sequences: list[int] | None = None
    """Autograd's sequence number, the same on a forward operator and its backward; -1 for none."""
    shapes: list[str] | None = None
    """Input shapes as the trace writes them, `[[32, 64], [64, 64]]`; "" for none."""
    values: list[str] | None = None
    """Input values where they are no tensors, as the trace writes them; "" for none."""
    types: list[str] | None = None
    """Input dtypes as the trace writes them, `["float", "c10::Half"]`; "" for none."""
    modules: list[str] | None = None
    stacks: list[str] | None = None
    """Python frames, innermost first, separated by `;`."""
    phases: list[str] | None = None
    """The phase where the event's own name tells it; "" where the time must."""

    def __len__(self) -> int:
        return len(self.names)

    def arrange(self) -> None:
        """Sort by start, and where starts are equal the longer first, so that nesting is a walk."""
        starts = self.start_ns
        if all(map(lt, starts, islice(starts, 1, None))):
            return
        order = _order(starts, self.duration_ns)
        if all(map(lt, order, islice(order, 1, None))):
            return
        pick = itemgetter(*order)
        self.kinds = bytearray(pick(self.kinds))
        for name in _COLUMNS:
            column = getattr(self, name)
            if column is not None:
                setattr(self, name, list(pick(column)))


_COLUMNS = tuple(
    one.name for one in fields(Track) if one.name not in ("thread", "kinds")
)  # every other field is a list with a cell an event


def _order(starts: list[int], durations: list[int]) -> list[int]:
    """Indices by start, and where starts are equal by duration, the longer first.

    Traces are nearly in order, which a stable sort over plain integers makes use of; equal starts
    are few, and put right one by one.
    """
    order = sorted(range(len(starts)), key=starts.__getitem__)
    pick = itemgetter(*order)
    ordered, lengths = pick(starts), pick(durations)
    ties = map(eq, ordered, islice(ordered, 1, None))
    rises = map(lt, lengths, islice(lengths, 1, None))
    done = 0
    for at in compress(range(len(order)), map(and_, ties, rises)):
        if at < done:
            continue
        first, last = at, at + 1
        while first > 0 and ordered[first - 1] == ordered[at]:
            first -= 1
        while last < len(order) and ordered[last] == ordered[at]:
            last += 1
        order[first:last] = sorted(order[first:last], key=durations.__getitem__, reverse=True)
        done = last
    return order


class DeviceEvent(Struct, gc=False):
    """A kernel, copy or fill on a device's stream."""

    kind: str
    """`kernel`, `memcpy` or `memset`."""
    name: str
    start_ns: int
    duration_ns: int
    device: int = 0
    stream: int = 0
    correlation: int = 0
    external_id: int = 0
    bytes: int | None = None
    """Of a copy or fill: how much."""
    elements: int | None = None
    """Of a collective: how many elements went in."""
    operator: str = ""
    """The operator that it is of, where the trace says so on the event itself; "" where it follows
    from the launch."""
    phase: str = ""
    """That operator's phase; "" where the time must tell."""
    blocks_per_sm: float | None = None
    """Of a kernel: thread blocks over multiprocessors."""
    occupancy_ratio: float | None = None
    """Of a kernel: estimated achieved occupancy, 0..1."""

    @property
    def end_ns(self) -> int:
        """When it ended."""
        return self.start_ns + self.duration_ns


class MemoryEvent(Struct, gc=False):
    """Memory taken (positive) or given back (negative) by an allocator."""

    thread: ThreadKey
    at_ns: int
    bytes: int
    on_device: bool
    address: int | None = None
    device: int = 0
    allocated_bytes: int | None = None
    """What the allocator had given out afterwards, where the trace says so."""
    reserved_bytes: int | None = None
    """What it held of the device's memory afterwards."""
    allocator: str = ""
    """Whose figures these are, where a device has several."""
    operator: str = ""
    """For whom it was taken, where the trace says so on the event itself: a path in the graph, or
    an operator's name."""


class InputEvent(Struct, gc=False):
    """An element produced by a stage of an input pipeline."""

    thread: ThreadKey
    path: str
    """The stage and those that take its elements, the last of all first:
    `Prefetch::ParallelMapV2::Shuffle`. Equal stages side by side have equal paths."""
    start_ns: int
    duration_ns: int


class DeviceStep(Struct, gc=False):
    """A step as the trace itself bounds it on a device."""

    device: int
    number: int
    start_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class TracedProcess:
    """Which process a trace is of, as far as the trace itself says so."""

    pid: int | None = None
    rank: int | None = None
    world_size: int | None = None
    host: str | None = None
    framework: str | None = None
    """`torch`, `tensorflow`, `jax`."""


@dataclass(slots=True)
class TraceWindow:
    """A traced stretch of one process."""

    base_unix_ns: int
    """The wall-clock time of 0 on the window's own time axis."""
    tracks: list[Track] = field(default_factory=list)
    """Operators, annotations and launches, a track a thread."""
    frames: list[Track] = field(default_factory=list)
    """Python functions and modules, a track a thread (deep windows only)."""
    device_events: list[DeviceEvent] = field(default_factory=list)
    memory_events: list[MemoryEvent] = field(default_factory=list)
    device_steps: list[DeviceStep] = field(default_factory=list)
    input_events: list[InputEvent] = field(default_factory=list)
    event_count: int = 0
    """Rows of the file that were read, of whatever kind."""
    dropped_count: int = 0
    """Rows that could not be used: damaged, or without a sane time."""
    device_names: dict[int, str] = field(default_factory=dict)
    device_memory_bytes: dict[int, int] = field(default_factory=dict)
    """How much memory a device has, where the trace says so."""
    process: TracedProcess = field(default_factory=TracedProcess)
    notes: list[str] = field(default_factory=list)
    """What of the trace was missing or damaged, in words."""
