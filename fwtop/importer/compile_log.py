"""From one TORCH_TRACE log to what is kept of it: its compile events, as a recording holds them."""

from __future__ import annotations

from collections.abc import Callable

from fwtop.importer.imported import Imported, ImportedCompile
from fwtop.importer.trace_files import TraceFile
from fwtop.traces import torch_trace
from fwtop.traces.blocks import Limits
from fwtop_profilers.torch.compile_records import CompileEvent

LIMITS = Limits(file_bytes=64 << 30, inflated_bytes=64 << 30)
"""A log is read line by line, and little is kept of a line."""
_MOST = (1 << 63) - 1
_MOST_TEXT = 4_096


def read(file: TraceFile, on_bytes: Callable[[int], None] | None = None) -> Imported:
    """Read one log. Raises TraceError."""
    log = torch_trace.read(file.path, LIMITS, on_bytes)
    ends = [event.start_ns + (event.duration_ns or 0) for event in log.events]
    return Imported(
        file,
        log.process,
        base_unix_ns=log.begin_unix_ns,
        start_ns=0,
        end_ns=max([log.end_unix_ns, *ends]) - log.begin_unix_ns,
        compiles=tuple(_checked(event) for event in log.events),
        notes=tuple(log.notes),
    )


def _checked(event: CompileEvent) -> ImportedCompile:
    """A log may say anything: only what the tables can hold, and what a time can be."""
    duration = event.duration_ns
    line = event.line
    return ImportedCompile(
        key=_text(event.key) or "",
        parent_key=_text(event.parent_key),
        kind=event.kind,
        name=_text(event.name) or "",
        compile_id=_text(event.compile_id),
        start_unix_ns=event.start_ns,
        duration_ns=None if duration is None else max(0, min(duration, _MOST)),
        function=_text(event.function),
        file=_text(event.file),
        line=line if type(line) is int and 0 <= line <= _MOST else None,
        reason=_text(event.reason),
        detail=event.detail,
    )


def _text(value: object) -> str | None:
    """Cut, and without lone surrogates, which JSON can spell and no UTF-8 can."""
    if not isinstance(value, str):
        return None
    return value[:_MOST_TEXT].encode("utf-8", "replace").decode()
