"""Reads Nsight Systems' SQLite exports (`nsys export --type sqlite`): one window a process.

Schema: https://docs.nvidia.com/nsight-systems/UserGuide (exporting, SQLite schema reference). Times
are nanoseconds from the session's start, which `TARGET_INFO_SESSION_START_TIME` tells. Names are
numbers of `StringIds`. `globalTid` holds the process in its bits 24 to 47 and the thread below.
Operators are there where the script put NVTX ranges around them: torch.autograd.profiler.emit_nvtx
names them `aten::mm, seq = 4, op_id = 12, sizes = [[2, 3], [3, 4]]`. A range `step 7` (iteration,
iter, batch) is a step.

The file is foreign: only its own plain tables are read, never a view or a virtual table, and what
is no number where one belongs is left out.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fwtop.traces.blocks import Limits, OnBytes
from fwtop.traces.model import (
    ANNOTATION,
    KERNEL,
    LAUNCH,
    LONGEST_NS,
    MEMCPY,
    MEMSET,
    OPERATOR,
    DeviceEvent,
    TracedProcess,
    TraceError,
    TraceWindow,
    Track,
)
from fwtop.traces.texts import TextPool

KERNELS, COPIES, FILLS, CALLS, RANGES = (
    "CUPTI_ACTIVITY_KIND_KERNEL",
    "CUPTI_ACTIVITY_KIND_MEMCPY",
    "CUPTI_ACTIVITY_KIND_MEMSET",
    "CUPTI_ACTIVITY_KIND_RUNTIME",
    "NVTX_EVENTS",
)
_STRINGS, _GPUS, _START = "StringIds", "TARGET_INFO_GPU", "TARGET_INFO_SESSION_START_TIME"
_COPY_KINDS = {1: "HtoD", 2: "DtoH", 3: "HtoA", 4: "AtoH", 8: "DtoD", 9: "HtoH", 10: "PtoP"}
"""CUpti_ActivityMemcpyKind, as Kineto names them."""
_PUSH_POP = 59
"""`eventType` of a range that begins and ends on one thread, and nests."""
_OPERATOR = re.compile(r"(?P<name>.+?)(?:, seq = (?P<seq>\d{1,18}))?, op_id = \d+"
                       r"(?:, sizes = (?P<sizes>\[.*\]))?")  # fmt: skip
_STEP = re.compile(r"(?:step|iteration|iter|batch)[ _#:=]*(\d{1,15})", re.IGNORECASE)
_SANE_NS = 1 << 61
_MOST_STRINGS = 1_000_000
_LONGEST_TEXT = 1 << 14
_ROWS = 4_096
_DAMAGED = (sqlite3.Error, UnicodeDecodeError)
"""SQLite quotes a damaged schema in its message, which then need not be UTF-8."""
_DEFAULT_LIMITS = Limits()


def read(
    path: Path, limits: Limits = _DEFAULT_LIMITS, on_bytes: OnBytes | None = None
) -> list[TraceWindow]:
    """A window for each process in an export, the one with most events first.

    What is damaged is left out, and told of in `notes`. Raises TraceError for a file that is no
    export of Nsight Systems', cannot be read, or is too large.
    """
    try:
        size = path.stat().st_size
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    except (OSError, sqlite3.Error) as error:
        raise TraceError(path, f"it cannot be read ({error})", "Check the path.") from error
    if size > limits.file_bytes:
        what = f"it has {size:,} bytes, more than {limits.file_bytes:,}"
        raise TraceError(path, what, "Trace a shorter time, or raise the limit.")
    try:
        return _Export(path, connection, limits, size, on_bytes).windows()
    except _DAMAGED as error:
        what = f"it is a damaged SQLite file ({str(error)[:200]})"
        raise TraceError(path, what, "Export it again: nsys export --type sqlite") from error
    finally:
        connection.close()


class _Export:
    """One file while it is read."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        limits: Limits,
        size: int,
        on_bytes: OnBytes | None,
    ):
        self._path = path
        self._db = connection
        self._limits = limits
        self._size = size
        self._on_bytes = on_bytes
        self._texts = TextPool()
        self._windows: dict[int, TraceWindow] = {}
        self._tracks: dict[int, Track] = {}
        self._notes: list[str] = []
        self._count = self._dropped = 0
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")

    def windows(self) -> list[TraceWindow]:
        tables = self._tables()
        if not tables.keys() & {KERNELS, COPIES, FILLS, CALLS, RANGES}:
            what = "it is an SQLite file, but no export of Nsight Systems' with CUDA or NVTX"
            raise TraceError(self._path, what, "nsys profile --trace cuda,nvtx, then nsys export")
        strings = self._strings(tables)
        self._multiprocessors: dict[int, int] = {}
        base = self._session_start(tables)
        parts: Sequence[tuple[str, Callable[[str, set[str], dict[int, str]], None]]] = (
            (KERNELS, self._take_kernels), (COPIES, self._take_copies), (FILLS, self._take_fills),
            (CALLS, self._take_calls), (RANGES, self._take_ranges),
        )  # fmt: skip
        gpus = self._gpus(tables)
        for done, (table, take) in enumerate(parts):
            self._report(done / len(parts))
            if table in tables:
                try:
                    take(table, tables[table], strings)
                except _DAMAGED as error:
                    self._notes.append(f"{table} is damaged ({str(error)[:100]})")
        self._report(1.0)
        return self._finished(base, gpus)

    def _finished(self, base: int, gpus: dict[int, tuple[str, int | None]]) -> list[TraceWindow]:
        for global_tid, track in self._tracks.items():
            track.arrange()
            self._window(global_tid).tracks.append(track)
        if self._dropped:
            self._notes.append(f"{self._dropped:,} damaged rows were left out")
        if self._count >= self._limits.events:
            self._notes.append(f"only the first {self._limits.events:,} rows were read")
        found = sorted(self._windows.values(), key=lambda window: -window.event_count)
        for window in found:
            window.base_unix_ns = base
            used = {event.device for event in window.device_events}
            for device in used or gpus.keys():
                name, memory = gpus.get(device, ("", None))
                if name:
                    window.device_names[device] = name
                if memory:
                    window.device_memory_bytes[device] = memory
        if found:
            found[0].notes += self._notes
        return found

    # --- tables ---------------------------------------------------------------------------------

    def _tables(self) -> dict[str, set[str]]:
        """The file's own plain tables, each with its columns."""
        rows = self._db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND sql NOT LIKE 'CREATE VIRTUAL%' LIMIT 10000"
        ).fetchall()
        wanted = {KERNELS, COPIES, FILLS, CALLS, RANGES, _STRINGS, _GPUS, _START}
        return {
            name: {column[1] for column in self._db.execute(f'PRAGMA table_info("{name}")')}
            for (name,) in rows
            if name in wanted
        }

    def _strings(self, tables: dict[str, set[str]]) -> dict[int, str]:
        if not {"id", "value"} <= tables.get(_STRINGS, set()):
            return {}
        rows = self._db.execute(
            f"SELECT id, substr(value, 1, {_LONGEST_TEXT}) FROM {_STRINGS}"
            f" WHERE typeof(id) = 'integer' AND typeof(value) = 'text' LIMIT {_MOST_STRINGS}"
        )
        return {number: self._texts.one(text) for number, text in rows}

    def _session_start(self, tables: dict[str, set[str]]) -> int:
        if "utcEpochNs" not in tables.get(_START, ()):
            return 0
        row = self._db.execute(
            f"SELECT utcEpochNs FROM {_START} WHERE typeof(utcEpochNs) = 'integer' LIMIT 1"
        ).fetchone()
        return row[0] if row is not None and 0 < row[0] < 1 << 62 else 0

    def _gpus(self, tables: dict[str, set[str]]) -> dict[int, tuple[str, int | None]]:
        columns = tables.get(_GPUS, set())
        if not {"id", "name"} <= columns:
            return {}
        memory = "totalMemory" if "totalMemory" in columns else "NULL"
        cores = "smCount" if "smCount" in columns else "NULL"
        rows = self._db.execute(
            f"SELECT id, name, {memory}, {cores} FROM {_GPUS}"
            " WHERE typeof(id) = 'integer' LIMIT 1024"
        ).fetchall()
        found = {}
        for number, name, total, count in rows:
            if isinstance(name, str):
                found[number] = (name[:200], total if _is_count(total) else None)
            if _is_count(count):
                self._multiprocessors[number] = count
        return found

    def _rows(
        self, table: str, columns: set[str], names: Sequence[str], condition: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        """Sane rows of (start, end, *names); a column that is not there is None."""
        if not {"start", "end"} <= columns:
            self._notes.append(f"{table} has no times")
            return
        chosen = ", ".join(f'"{name}"' if name in columns else "NULL" for name in names)
        cursor = self._db.execute(f'SELECT start, "end", {chosen} FROM {table} {condition}')
        while rows := cursor.fetchmany(_ROWS):
            for row in rows:
                if self._count >= self._limits.events:
                    return
                self._count += 1
                start, end = row[0], row[1]
                if (
                    type(start) is int
                    and type(end) is int
                    and -_SANE_NS < start <= end < _SANE_NS
                    and end - start < LONGEST_NS
                ):
                    yield row
                else:
                    self._dropped += 1

    # --- rows -----------------------------------------------------------------------------------

    def _take_kernels(self, table: str, columns: set[str], strings: dict[int, str]) -> None:
        name = "demangledName" if "demangledName" in columns else "shortName"
        names = (
            "deviceId", "streamId", "correlationId", "globalPid", name, "gridX", "gridY", "gridZ"
        )  # fmt: skip
        for start, end, device, stream, correlation, pid, text, *grid in self._rows(
            table, columns, names
        ):
            cores = self._multiprocessors.get(device) if isinstance(device, int) else None
            blocks = None
            if cores and all(_is_count(side) for side in grid):
                blocks = grid[0] * grid[1] * grid[2] / cores
            self._add_device_event(
                KERNEL, strings.get(text, "kernel") if type(text) is int else "kernel",
                start, end, device, stream, correlation, pid, blocks=blocks,
            )  # fmt: skip

    def _take_copies(self, table: str, columns: set[str], strings: dict[int, str]) -> None:
        names = ("deviceId", "streamId", "correlationId", "globalPid", "bytes", "copyKind")
        for start, end, device, stream, correlation, pid, size, kind in self._rows(
            table, columns, names
        ):
            way = _COPY_KINDS.get(kind) if type(kind) is int else None
            self._add_device_event(
                MEMCPY, f"Memcpy {way}" if way else "Memcpy", start, end, device, stream,
                correlation, pid, size=size,
            )  # fmt: skip

    def _take_fills(self, table: str, columns: set[str], strings: dict[int, str]) -> None:
        names = ("deviceId", "streamId", "correlationId", "globalPid", "bytes")
        for start, end, device, stream, correlation, pid, size in self._rows(table, columns, names):
            self._add_device_event(
                MEMSET, "Memset (Device)", start, end, device, stream, correlation, pid, size=size
            )

    def _add_device_event(
        self, kind: str, name: str, start: int, end: int, device: Any, stream: Any,
        correlation: Any, pid: Any, size: Any = None, blocks: float | None = None,
    ) -> None:  # fmt: skip
        window = self._window(_whole(pid))
        window.event_count += 1
        window.device_events.append(
            DeviceEvent(
                kind, self._texts.one(name), start, end - start, _whole(device), _whole(stream),
                _whole(correlation), bytes=size if _is_count(size) else None, blocks_per_sm=blocks,
            )
        )  # fmt: skip

    def _take_calls(self, table: str, columns: set[str], strings: dict[int, str]) -> None:
        for start, end, thread, correlation, name in self._rows(
            table, columns, ("globalTid", "correlationId", "nameId")
        ):
            text = strings.get(name, "CUDA call") if type(name) is int else "CUDA call"
            # `cudaLaunchKernel_v7000`: the suffix is the version of the ABI
            text = re.sub(r"_v\d+\Z", "", text)
            track = self._add(_whole(thread), self._texts.one(text), LAUNCH, start, end)
            _cells(track.correlations)[-1] = _whole(correlation)

    def _take_ranges(self, table: str, columns: set[str], strings: dict[int, str]) -> None:
        condition = f"WHERE eventType = {_PUSH_POP}" if "eventType" in columns else ""
        for start, end, thread, text, number in self._rows(
            table, columns, ("globalTid", "text", "textId"), condition
        ):
            name = text if isinstance(text, str) else None
            if name is None and type(number) is int:
                name = strings.get(number)
            if name is not None:
                self._add_range(_whole(thread), name[:_LONGEST_TEXT], start, end)

    def _add_range(self, thread: int, name: str, start: int, end: int) -> None:
        if step := _STEP.fullmatch(name.strip()):
            self._add(thread, f"ProfilerStep#{int(step[1])}", ANNOTATION, start, end)
            return
        found = _OPERATOR.fullmatch(name)
        if found is None:
            kind = OPERATOR if name.startswith("aten::") else ANNOTATION
            self._add(thread, self._texts.one(name), kind, start, end)
            return
        track = self._add(thread, self._texts.one(found["name"]), OPERATOR, start, end)
        _cells(track.shapes)[-1] = self._texts.one(found["sizes"] or "")
        if found["seq"]:
            _cells(track.sequences)[-1] = int(found["seq"])

    def _add(self, global_tid: int, name: str, kind: int, start: int, end: int) -> Track:
        track = self._tracks.get(global_tid)
        if track is None:
            if len(self._tracks) >= 4_096:  # more threads than a sane program has
                global_tid = next(iter(self._tracks))
            thread = global_tid & 0xFFFFFF
            track = self._tracks.setdefault(
                global_tid, Track(thread, correlations=[], sequences=[], shapes=[])
            )
        track.names.append(name)
        track.start_ns.append(start)
        track.duration_ns.append(end - start)
        track.kinds.append(kind)
        _cells(track.correlations).append(0)
        _cells(track.sequences).append(-1)
        _cells(track.shapes).append("")
        self._window(global_tid).event_count += 1
        return track

    def _window(self, global_id: int) -> TraceWindow:
        """The window of the process that a `globalPid` or `globalTid` names."""
        pid = global_id >> 24 & 0xFFFFFF
        window = self._windows.get(pid)
        if window is None:
            if len(self._windows) >= 1_024:
                return next(iter(self._windows.values()))
            window = self._windows[pid] = TraceWindow(0, process=TracedProcess(pid=pid or None))
        return window

    def _report(self, share: float) -> None:
        if self._on_bytes is not None:
            self._on_bytes(int(self._size * share))


def _whole(value: Any) -> int:
    """A number that a recording can hold; 0 for what is none."""
    return value if type(value) is int and -_SANE_NS < value < _SANE_NS else 0


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < _SANE_NS


def _cells(column: list[Any] | None) -> list[Any]:
    assert column is not None
    return column
