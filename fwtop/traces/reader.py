"""Which reader a trace's format has: the one place that knows the formats by name."""

from __future__ import annotations

from pathlib import Path

from fwtop.traces.blocks import Limits, OnBytes
from fwtop.traces.model import TraceError, TraceWindow

FORMATS = ("kineto", "xplane")
_DEFAULT_LIMITS = Limits()


def read(
    path: Path,
    trace_format: str,
    details: bool = True,
    limits: Limits = _DEFAULT_LIMITS,
    on_bytes: OnBytes | None = None,
) -> TraceWindow:
    """The window in a file of one of FORMATS. Raises TraceError, also for another format.

    `on_bytes` hears how much of the file has been read, where the format is read bit by bit.

    `details` asks for what a format may have in any window (layers, shapes, allocations); a
    recorder keeps that of deep windows alone.
    """
    if trace_format == "kineto":
        from fwtop.traces import kineto

        return kineto.read(path, limits, on_bytes, details)
    if trace_format == "xplane":
        from fwtop.traces import xplane

        return xplane.read(path, limits, details)
    what = f"unknown trace format {trace_format[:40]!r}"
    raise TraceError(path, what, f"fwtop reads {' and '.join(FORMATS)}.")
