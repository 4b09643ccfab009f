"""Writes an imported run's rows, through the recorder's writer and statements.

Times in a recording count from the run's start: here the first thing in any of its traces.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path
from time import gmtime, strftime

import msgspec

from fwtop import __version__
from fwtop.analysis.results import TemporalBreakdown
from fwtop.formatting import plural
from fwtop.importer.imported import Imported
from fwtop.importer.processes import ImportedProcess
from fwtop.recorder import statements as sql
from fwtop.recorder.rollups import Row
from fwtop.recorder.traced import DecodedWindow
from fwtop.recorder.writer import Writer
from fwtop.recording.store import RecordingError

STEP_TRACED = 1
"""Of `steps.flags`: the step's time includes the profiler's."""
_EARLIEST_UNIX_NS, _LATEST_UNIX_NS = 946_684_800_000_000_000, 7_258_118_400_000_000_000
"""The years 2000 and 2200: a time before counts from something else, a boot mostly; one after them
is damage."""
_VENDORS = (
    (re.compile(r"nvidia|tesla|geforce|quadro|rtx|titan|\b[avhb]\d{2,3}\b", re.I), "nvidia"),
    (re.compile(r"amd|radeon|instinct|\bmi\d{2,3}|gfx\d", re.I), "amd"),
    (re.compile(r"tpu", re.I), "google"),
    (re.compile(r"intel|xpu|ponte", re.I), "intel"),
)
_APART_NS = 24 * 3_600 * 1_000_000_000
_MOST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Start:
    """When the run began."""

    unix_ns: int
    told: bool
    """False where no trace tells when it was taken, and the file's own time stands in."""


def start_of(files: list[Imported]) -> Start:
    """The first moment of all traces that tell the time; else the youngest file's end."""
    firsts = [file.base_unix_ns + file.start_ns for file in files if _tells_time(file)]
    if firsts:
        return Start(min(firsts), True)
    written = max(_written_ns(file.file.path) for file in files)
    longest = max(file.end_ns - file.start_ns for file in files)
    return Start(written - min(longest, written), False)


def write(
    writer: Writer,
    processes: list[ImportedProcess],
    name: str | None,
    tags: tuple[str, ...],
    left_out: tuple[str, ...],
) -> None:
    """Queue everything, and write it process by process."""
    files = [file for process in processes for file in process.files]
    start = start_of(files)
    clock = _Clock(start)
    _begin(writer, _run_row(files, start, name, tags))
    writer.add(sql.RUN_SOURCE, (" ".join(dict.fromkeys(file.file.format for file in files)),))
    window_id = 0
    for process in processes:
        _add_process(writer, process, clock)
        for file in process.files:
            if file.figures is not None:
                window_id += 1
                writer.add_window(_window(window_id, process, file, clock))
            _add_file(writer, process, file, clock)
        _flush(writer)
    if writer.bad_rows:
        left_out = (*left_out, f"{plural(writer.bad_rows, 'row')} with impossible values")
    _add_notices(writer, files, start, left_out)
    ends = [clock.at(file, file.end_ns) for file in files]
    writer.add(sql.RUN_END, ("finishing", max(0, *ends), None, None))
    _flush(writer)


def _begin(writer: Writer, row: Row) -> None:
    """Write the run's row, without which the recording is none. Raises RecordingError."""
    if not writer.write_run(row) or writer.bad_rows:
        raise RecordingError(
            f"the run cannot be written: {writer.failure or 'its name or time is impossible'}",
            "choose another place with -o, or another --name",
        )


def _flush(writer: Writer) -> None:
    """Write what pends. Raises RecordingError for figures that no table can hold."""
    try:
        writer.flush(force=True)
    except (OverflowError, UnicodeError, ValueError) as error:
        raise RecordingError(
            f"the trace's figures are beyond what a recording can hold: {error}",
            "it is most likely damaged; trace again, fewer steps",
        ) from error


class _Clock:
    """From a trace's own axis to the run's."""

    def __init__(self, start: Start) -> None:
        self._start = start

    def at(self, file: Imported, at_ns: int) -> int:
        """Nanoseconds since the run's start. A trace that tells no time begins with the run."""
        if self._start.told and _tells_time(file):
            return file.base_unix_ns + at_ns - self._start.unix_ns
        return at_ns - file.start_ns

    def at_unix(self, file: Imported, unix_ns: int) -> int:
        """The same of a unix time."""
        return self.at(file, unix_ns - file.base_unix_ns)


def _run_row(files: list[Imported], start: Start, name: str | None, tags: tuple[str, ...]) -> Row:
    host = next((file.process.host for file in files if file.process.host), "")
    paths = [_text(file.file.path.resolve()) for file in files]
    return (
        _run_id(start, paths), "[]", name or _name(files), _json(list(tags)), "", host,
        __version__, start.unix_ns, 0, "finishing", "{}", "{}", _json({"traces": paths}),
    )  # fmt: skip


def _run_id(start: Start, paths: list[str]) -> str:
    """As live runs have them; the same traces have the same one."""
    when = strftime("%Y%m%d-%H%M%S", gmtime(min(start.unix_ns // 1_000_000_000, 1 << 37)))
    names = "\0".join(paths).encode()
    return f"{when}-{blake2b(names, digest_size=2).hexdigest()}"


def _name(files: list[Imported]) -> str:
    first = files[0].file.name
    return first if len(files) == 1 else f"{first} and {len(files) - 1} more"


def _add_process(writer: Writer, process: ImportedProcess, clock: _Clock) -> None:
    started = min(clock.at(file, file.start_ns) for file in process.files)
    ended = max(clock.at(file, file.end_ns) for file in process.files)
    writer.add(
        sql.PROCESS,
        (
            process.id, process.key, process.pid or 0, None, "[]", None, None, process.host, None,
            process.rank, None, process.world_size, started,
        ),
    )  # fmt: skip
    writer.add(sql.PROCESS_ENDED, (ended, process.id))
    for framework in process.frameworks:
        writer.add(sql.FRAMEWORK, (process.id, framework, "", "{}"))


def _window(number: int, process: ImportedProcess, file: Imported, clock: _Clock) -> DecodedWindow:
    assert file.figures is not None
    found = file.figures
    row = (
        number, process.id, file.file.format, int(file.deep), "import", None,
        file.steps[0].index if file.steps else 0, max(1, len(file.steps)),
        clock.at(file, file.start_ns), clock.at(file, file.end_ns), 0, None, 1, found.event_count,
        file.file.size_bytes, "decoded", "; ".join(file.notes)[:_MOST_TEXT] or None,
        *astuple(found.breakdown or TemporalBreakdown()),
    )  # fmt: skip
    return DecodedWindow(row, found, file.raw)


def _add_file(writer: Writer, process: ImportedProcess, file: Imported, clock: _Clock) -> None:
    writer.add_steps(
        [
            (process.id, step.index, clock.at(file, step.start_ns), step.duration_ns,
             step.input_ns, None, step.forward_ns, step.backward_ns, step.optimizer_ns,
             STEP_TRACED, None)
            for step in file.steps
        ]
    )  # fmt: skip
    writer.add(sql.MEMORY, *_memory(process, file, clock))
    writer.add(
        sql.COMPILE_EVENT,
        *(
            (process.id, event.key, event.parent_key, event.kind, event.name, event.compile_id,
             clock.at_unix(file, event.start_unix_ns), event.duration_ns, event.function,
             event.file, event.line, event.reason, None, _json(event.detail))
            for event in file.compiles
        ),
    )  # fmt: skip
    for device in file.devices:
        vendor = next((word for sign, word in _VENDORS if sign.search(device.name)), "")
        key = f"{process.host or ''}:{device.index}"
        writer.add(
            sql.DEVICE,
            (None, key, vendor, device.index, device.name, None, None, device.memory_bytes, "{}",
             int(device.used)),
        )  # fmt: skip
        if device.used:
            writer.add(sql.PROCESS_DEVICE, (f"cuda:{device.index}", None, process.id))


def _memory(process: ImportedProcess, file: Imported, clock: _Clock) -> Iterator[Row]:
    highest: dict[str, tuple[int, int]] = {}
    for reading in file.memory:
        allocated, reserved = highest.get(reading.device, (0, 0))
        allocated = max(allocated, reading.allocated_bytes or 0)
        reserved = max(reserved, reading.reserved_bytes or 0)
        highest[reading.device] = allocated, reserved
        yield (
            process.id, clock.at_unix(file, reading.at_unix_ns), reading.device,
            reading.allocated_bytes, reading.reserved_bytes, None, allocated, reserved or None,
            None, None,
        )  # fmt: skip


def _add_notices(
    writer: Writer, files: list[Imported], start: Start, left_out: tuple[str, ...]
) -> None:
    def add(severity: str, code: str, text: str, next: str = "") -> None:
        writer.add(sql.NOTICE, (0, severity, code, None, text[:_MOST_TEXT], next))

    for file in files:
        for note in file.notes:
            add("warning", "trace_damaged", f"{file.file.name}: {note}")
        if file.figures is not None and not file.steps:
            text = f"{file.file.name} marks no steps: its figures are of the whole trace"
            add("info", "no_steps", text, "profiler.step() once a step marks them")
    for text in left_out:
        add("warning", "trace_left_out", f"left out: {text}")
    if not start.told:
        add("info", "no_time", "no trace tells when it was taken: the file's time is shown")
    firsts = [file.base_unix_ns + file.start_ns for file in files if _tells_time(file)]
    if firsts and max(firsts) - min(firsts) > _APART_NS:
        text = "the traces were taken more than a day apart: are they of one run?"
        add("warning", "traces_apart", text, "`fwtop compare` sets runs side by side")


def _tells_time(file: Imported) -> bool:
    first, last = file.base_unix_ns + file.start_ns, file.base_unix_ns + file.end_ns
    return _EARLIEST_UNIX_NS <= first <= last < _LATEST_UNIX_NS


def _written_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return _EARLIEST_UNIX_NS


def _text(path: Path) -> str:
    """A path as text; its bytes may be none."""
    return os.fsencode(path).decode("utf-8", "replace")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
