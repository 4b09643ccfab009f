"""The tables that CSV, Parquet and JSON share: names, columns with their units, and rows.

Columns are the recording's own fields (`_ns` nanoseconds since the run's start or long, `_bytes`,
`_ratio` 0..1, `_hz`, `_w` watts, `_c` degrees Celsius), with a process's `rank` beside its id.
Figures of `operators` and `kernels` are sums over one window: divide by `step_count`. Unknown is an
empty cell, a null. What is structured (a command, facts of a device) is JSON in a text.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from fwtop.analysis.findings import Finding, find
from fwtop.export.source import FLAGS, ExportError, Source
from fwtop.export.texts import LogLine, cleaned, log_lines, valid
from fwtop.queries import devices, host, memory, pages, run
from fwtop.queries import operators as operator_queries
from fwtop.queries.pages import Paged
from fwtop.recording.model import (
    Device,
    DeviceProcess,
    Framework,
    Governor,
    HostProcess,
    Mark,
    Notice,
    OutOfMemory,
    Process,
    Run,
    Step,
)
from fwtop.recording.window_model import Window
from fwtop.summary import gather

Cell = int | float | str | bool | None
Cells = tuple[Cell, ...]

Extra = tuple["Column", Callable[[Any], Cell]]
"""A column that is worked out from a row."""

_BATCH = 4096


@dataclass(frozen=True)
class Column:
    """A column: its name, with the unit, and what its cells are unless they are None."""

    name: str
    kind: str
    """`int`, `float`, `text` or `bool`."""


@dataclass(frozen=True)
class Table:
    """A table: rows come in batches, each cell of its column's kind or None."""

    name: str
    what: str
    columns: tuple[Column, ...]
    batches: Callable[[Source], Iterator[list[Cells]]]


def chosen(names: tuple[str, ...]) -> tuple[Table, ...]:
    """The tables of those names, all for none. Raises ExportError for an unknown one."""
    known = {table.name: table for table in TABLES}
    for name in names:
        if name not in known:
            raise ExportError(f"there is no table {name!r}", f"tables: {', '.join(known)}")
    return tuple(known[name] for name in names) if names else TABLES


class _Model:
    """How rows of one dataclass become cells."""

    def __init__(self, model: type, hidden: tuple[str, ...], extra: tuple[Extra, ...]) -> None:
        hints = typing.get_type_hints(model)
        names = [field.name for field in fields(model) if field.name not in hidden]
        kinds = [_kind(hints[name]) for name in names]
        self._get = attrgetter(*names)
        self._extra = [cell for _, cell in extra]
        self._converted = [
            (position, _CONVERT[kind]) for position, kind in enumerate(kinds) if kind in _CONVERT
        ]
        self._ranked = names.index("process_id") + 1 if "process_id" in names else None
        self.columns = [
            Column(_TITLES.get(name, name), "text" if kind == "json" else kind)
            for name, kind in zip(names, kinds, strict=True)
        ]
        if self._ranked is not None:
            self.columns.insert(self._ranked, Column("rank", "int"))
        self.columns += [column for column, _ in extra]

    def cells(self, rows: Iterable[Any], ranks: dict[int, int | None]) -> list[Cells]:
        """Rows as cells."""
        found = []
        for row in rows:
            parts = list(self._get(row))
            for position, convert in self._converted:
                parts[position] = convert(parts[position])
            if self._ranked is not None:
                parts.insert(self._ranked, ranks.get(parts[self._ranked - 1]))
            parts += [cell(row) for cell in self._extra]
            found.append(tuple(parts))
        return found


_TITLES = {"index": "step_index"}


def _kind(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        (hint,) = [part for part in typing.get_args(hint) if part is not type(None)]
    return {int: "int", float: "float", str: "text", bool: "bool"}.get(hint, "json")


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _text(value: str | None) -> str | None:
    return None if value is None else valid(value)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(cleaned(value), ensure_ascii=False)


_CONVERT: dict[str, Callable[[Any], Cell]] = {"json": _json, "float": _float, "text": _text}


def _table(
    name: str,
    what: str,
    model: type,
    rows: Callable[[Source], Iterator[list[Any]]],
    hidden: tuple[str, ...] = (),
    extra: tuple[Extra, ...] = (),
) -> Table:
    of = _Model(model, hidden, extra)

    def batches(source: Source) -> Iterator[list[Cells]]:
        for page in rows(source):
            yield of.cells(page, source.ranks)

    return Table(name, what, tuple(of.columns), batches)


def _paged(
    name: str, what: str, table: Paged[Any], hidden: tuple[str, ...] = (), *extra: Extra
) -> Table:
    return _table(name, what, table.model, lambda s: s.pages(table, name), hidden, extra)


def _small(
    name: str,
    what: str,
    model: type,
    rows: Callable[[Source], list[Any]],
    at: str | None = None,
    hidden: tuple[str, ...] = (),
) -> Table:
    """A table that a query yields as a whole; `at` is what of a row lies in the stretch."""

    def batches(source: Source) -> Iterator[list[Any]]:
        found = rows(source)
        if at is not None:
            found = [row for row in found if source.stretch.overlaps(*[getattr(row, at)] * 2)]
        for start in range(0, len(found), _BATCH):
            yield found[start : start + _BATCH]

    return _table(name, what, model, batches, hidden)


def _log(source: Source) -> Iterator[list[LogLine]]:
    batch: list[LogLine] = []
    for line in log_lines(source.rows(pages.LOG, "log")):
        batch.append(line)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _left_ns(step: Step) -> int | None:
    """Of a step without a known phase nothing is known, not even what is left."""
    known = (step.input_ns, step.h2d_ns, step.forward_ns, step.backward_ns, step.optimizer_ns)
    return None if known == (None,) * len(known) else step.other_ns


def _flag(bit: int) -> Callable[[Step], bool]:
    return lambda step: bool(step.flags & bit)


def _findings(source: Source) -> list[Finding]:
    return list(find(gather(source.recording, source.stretch.end_ns)))


def _windows(source: Source) -> list[Window]:
    return [
        window
        for window in operator_queries.windows(source.recording)
        if source.stretch.overlaps(window.start_ns, window.end_ns)
    ]


_KEY = ("operator_id",)

TABLES = (
    _small("run", "the run: one row", Run, lambda s: [s.run]),
    _small("processes", "its processes", Process, lambda s: s.processes),
    _small("frameworks", "frameworks by process, and how each hook works there", Framework,
           lambda s: run.frameworks(s.recording)),
    _small("findings", "what is wrong, and what to do", Finding, _findings),
    _paged("steps", "steps as the host saw them; other_ns is what the known phases leave",
           pages.STEPS, ("flags",), (Column("other_ns", "int"), _left_ns),
           *((Column(name, "bool"), _flag(bit)) for name, bit in FLAGS.items())),
    _paged("device_steps", "steps as the device saw them", pages.DEVICE_STEPS),
    _small("windows", "trace windows, with their cost and the device's time", Window, _windows),
    _paged("operators", "operators by window, phase and device", pages.OPERATORS, _KEY),
    _paged("operator_details", "operators by shape, module and source line, in deep windows",
           pages.OPERATOR_DETAILS, _KEY),
    _paged("operator_flops", "operators' FLOPs by dtype, in windows with shapes",
           pages.OPERATOR_FLOPS, _KEY),
    _paged("kernels", "device kernels by window and stream", pages.KERNELS, _KEY),
    _paged("kernel_efficiency", "how full kernels kept the device in a window",
           pages.KERNEL_EFFICIENCY, _KEY),
    _paged("window_devices", "how busy and how full each device was in a window",
           pages.WINDOW_DEVICES),
    _paged("traced_steps", "traced steps by what their time went to", pages.TRACED_STEPS),
    _paged("input_stages", "stages of input pipelines by window", pages.INPUT_STAGES),
    _paged("memory_timeline", "allocations in deep windows", pages.MEMORY_TIMELINE),
    _paged("memory_holders", "who held memory at a deep window's peak", pages.MEMORY_HOLDERS,
           _KEY),
    _paged("compile_events", "compiles and their phases, breaks, recompiles, retraces, caches",
           pages.COMPILE_EVENTS),
    _paged("memory", "the devices' allocators, by process", pages.MEMORY_SAMPLES),
    _small("out_of_memory", "allocators that gave up", OutOfMemory,
           lambda s: memory.out_of_memory(s.recording), "at_ns"),
    _small("overhead", "what watching cost, by process", Governor,
           lambda s: run.governors(s.recording)),
    _small("devices", "the GPUs", Device, lambda s: devices.devices(s.recording)),
    _small("device_processes", "who was on the GPUs, by the last reading", DeviceProcess,
           lambda s: devices.device_processes(s.recording)),
    _paged("device_samples", "readings of the GPUs", pages.DEVICE_SAMPLES),
    _paged("host_samples", "readings of the host and of the run's processes", pages.HOST_SAMPLES),
    _small("host_processes", "the run's processes, by the last reading", HostProcess,
           lambda s: host.host_processes(s.recording)),
    _small("marks", "the script's marks", Mark, lambda s: run.marks(s.recording), "at_ns"),
    _small("notices", "what fwtop had to say", Notice, lambda s: run.notices(s.recording),
           "at_ns"),
    _table("log", "the script's output by line, without escape sequences; stream 2 is stderr",
           LogLine, _log),
)  # fmt: skip
"""All, in the order in which they are written."""
