"""Reads XPlane traces (TensorFlow's and JAX's profilers), whole and damaged, into TraceWindow.

Format: `xplane.proto` beside this file. A plane is the host or a device, a line a thread or a
stream. An event's time is its line's `timestamp_ns`, from the session's start, plus `offset_ps`;
the plane `Task Environment` says when that start was (unix ns).
"""

from __future__ import annotations

import re
from pathlib import Path

from fwtop.traces.blocks import Limits
from fwtop.traces.model import TraceError, TraceWindow
from fwtop.traces.xplane_device import take_device
from fwtop.traces.xplane_file import XPlaneFile
from fwtop.traces.xplane_hlo import HloNames
from fwtop.traces.xplane_host import HostThreads
from fwtop.traces.xplane_intake import Intake, integer
from fwtop.traces.xplane_process import process_of

__all__ = ["Limits", "TraceError", "read"]

_HOST = re.compile(r"/host:(CPU|CUPTI|ROCTRACER|python-tracer)\Z")
_DEVICE = re.compile(r"/device:\w+:\d{1,9}\b")
_ENVIRONMENT = "Task Environment"
_DEFAULT_LIMITS = Limits()


def read(path: Path, limits: Limits = _DEFAULT_LIMITS, details: bool = True) -> TraceWindow:
    """The window in an XPlane file (.xplane.pb, may be gzip).

    `details` keeps what deep windows are for: each operator's layer and input shapes, allocations
    and Python frames, where the trace has them. What is damaged is left out, counted in
    `dropped_count` and described in `notes`. Raises TraceError for a file that is no trace, cannot
    be read, or exceeds `limits`.
    """
    file = XPlaneFile(path, limits)
    environment = next((p.stats for p in file.planes if p.name == _ENVIRONMENT), {})
    intake = Intake(file, limits, max(0, integer(environment, "profile_start_time")))
    hlo = HloNames(file.planes)
    threads = HostThreads(intake, hlo, details)
    for plane in file.planes:
        if _HOST.match(plane.name):
            threads.take(plane)
        elif _DEVICE.match(plane.name):
            take_device(intake, plane, hlo)
    threads.finish()
    intake.window.process = process_of(file)
    return intake.finish()
