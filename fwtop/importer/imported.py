"""What is kept of one trace file while a run is put together: figures and rows, no events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fwtop.analysis.results import WindowFigures
from fwtop.importer.trace_files import TraceFile
from fwtop.importer.traced_steps import ImportedStep
from fwtop.traces.model import TracedProcess


@dataclass(frozen=True, slots=True)
class ImportedDevice:
    """A device that a trace names or uses."""

    index: int
    name: str
    memory_bytes: int | None
    used: bool


@dataclass(frozen=True, slots=True)
class AllocatorReading:
    """What a device's allocator had given out at a moment, in unix ns."""

    at_unix_ns: int
    device: str
    allocated_bytes: int | None
    reserved_bytes: int | None


@dataclass(frozen=True, slots=True)
class ImportedCompile:
    """A compile event, with its time in unix ns (`fwtop.recording.model.CompileEvent`)."""

    key: str
    parent_key: str | None
    kind: str
    name: str
    compile_id: str | None
    start_unix_ns: int
    duration_ns: int | None
    function: str | None
    file: str | None
    line: int | None
    reason: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Imported:
    """One file: whose it is, when it was, and what it tells."""

    file: TraceFile
    process: TracedProcess
    base_unix_ns: int
    """The unix time of 0 on the steps' axis; far in the past if the trace tells none."""
    start_ns: int
    """The first thing in it, on that axis."""
    end_ns: int
    figures: WindowFigures | None = None
    """None for a file without a window (a log of compiles)."""
    deep: bool = False
    steps: tuple[ImportedStep, ...] = ()
    devices: tuple[ImportedDevice, ...] = ()
    memory: tuple[AllocatorReading, ...] = ()
    compiles: tuple[ImportedCompile, ...] = ()
    notes: tuple[str, ...] = ()
    """What of it was damaged or left out, in words."""
    raw: bytes | None = field(default=None, repr=False)
    """The trace itself, compressed with Zstandard, where it is kept."""
