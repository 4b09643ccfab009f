"""Makes one recording of one or more trace files: reads them in turn, then writes everything.

Raises TraceError where nothing can be shown, RecordingError where nothing can be written. What of
several files cannot be read is left out, and the recording says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fwtop.importer import rows
from fwtop.importer.imported import Imported
from fwtop.importer.processes import processes
from fwtop.importer.trace_files import Found, TraceFile
from fwtop.recorder.writer import Writer, create
from fwtop.recording.store import RecordingError
from fwtop.traces.formats import RECORDING, TORCH_TRACE
from fwtop.traces.model import TraceError

OnBytes = Callable[[int, int], None]
"""Hears how many bytes of how many have been read; may raise, to stop the import."""


def import_traces(
    found: Found,
    target: Path,
    name: str | None = None,
    tags: Sequence[str] = (),
    keep_bytes: int = 0,
    on_bytes: OnBytes | None = None,
) -> None:
    """Write the recording `target`, which must not exist, of all files that can be read.

    Whatever ends it early leaves no file. `keep_bytes` is how much of raw traces the recording may
    hold.
    """
    if target.exists():
        raise _exists(target)
    imported, left_out = _read(found, keep_bytes, on_bytes)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        writer = create(unfinished, keep_bytes)
        rows.write(writer, processes(imported), name, tuple(tags), (*found.left_out, *left_out))
        _finish(writer, target)
        _publish(unfinished, target)
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{unfinished}{suffix}").unlink(missing_ok=True)


def _read(
    found: Found, keep_bytes: int, on_bytes: OnBytes | None
) -> tuple[list[Imported], list[str]]:
    total = sum(file.size_bytes for file in found.files)
    done = 0
    imported: list[Imported] = []
    left_out: list[str] = []
    first_error: TraceError | None = None
    for file in found.files:

        def progress(at: int, before: int = done) -> None:
            if on_bytes is not None:
                on_bytes(min(before + at, total), total)

        try:
            progress(0)
            windows = _read_one(file, keep_bytes, progress)
            imported += windows
            keep_bytes -= sum(len(one.raw or b"") for one in windows)
        except TraceError as error:
            first_error = first_error or error
            left_out.append(f"{file.name}: {error.what}")
        done += file.size_bytes
    if first_error is not None and not imported:
        raise first_error
    if on_bytes is not None:
        on_bytes(total, total)
    return imported, left_out


def _read_one(file: TraceFile, keep_bytes: int, progress: Callable[[int], None]) -> list[Imported]:
    try:
        return _read_format(file, keep_bytes, progress)
    except MemoryError:
        what = "there is not enough memory for what is in it"
        raise TraceError(file.path, what, "Trace fewer steps, or open it elsewhere.") from None


def _read_format(
    file: TraceFile, keep_bytes: int, progress: Callable[[int], None]
) -> list[Imported]:
    if file.format == RECORDING:
        raise TraceError(file.path, "it is a recording already", "`fwtop open` shows it.")
    if file.format == TORCH_TRACE:
        from fwtop.importer import compile_log

        return [compile_log.read(file, progress)]
    from fwtop.importer import window

    return window.read(file, keep_bytes, progress)


def _finish(writer: Writer, target: Path) -> None:
    if writer.pending or writer.failure:
        raise _unwritable(target, writer.failure or "rows are left over")
    if not writer.finish("finished").stored:
        raise _unwritable(target, "its end cannot be written")


def _publish(unfinished: Path, target: Path) -> None:
    """Give it its name, unless somebody took that meanwhile."""
    try:
        try:
            os.link(unfinished, target)
        except FileExistsError:
            raise _exists(target) from None
        except OSError:  # a file system without hard links
            unfinished.rename(target)
    except OSError as error:
        raise _unwritable(target, error.strerror or str(error)) from error


def _exists(target: Path) -> RecordingError:
    return RecordingError(f"{target} exists already", "choose another name with -o, or remove it")


def _unwritable(target: Path, why: str) -> RecordingError:
    return RecordingError(
        f"{target}: the recording cannot be written: {why}",
        "choose another place with -o, or make room there",
    )
