"""A run's FLOPs against the peak of its devices: what `fwtop.analysis.device_use` needs of SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fwtop.analysis import device_use
from fwtop.analysis.device_use import FlopsUse
from fwtop.devices.peaks import peak
from fwtop.queries import device_time, operators
from fwtop.recording.model import Device
from fwtop.recording.store import Recording


def flops_use(
    recording: Recording,
    step_ns: float | None,
    peaks: Mapping[str, float] | None,
    until_ns: int | None = None,
) -> FlopsUse | None:
    """A process's FLOPs a step, over the windows of all that have shapes; None without any.

    `step_ns` is a steady step's time, `peaks` one used device's peak by dtype.
    """
    shaped, steps = device_time.shaped_windows(recording, until_ns=until_ns)
    if not shaped:
        return None
    kernels = operators.kernels(recording, shaped)
    used = device_time.device_times(recording, shaped)
    processes = len({row.process_id for row in used})
    return device_use.flops_use(
        device_time.flops_by_dtype(recording, shaped),
        steps,
        step_ns,
        device_use.coverage(kernels, device_time.operator_flops(recording, shaped)),
        peaks,
        devices=len(used) // processes if processes else 1,
        tf32=device_use.runs_as_tf32(kernels),
    )


def peak_flops_per_s(devices: Sequence[Device]) -> Mapping[str, float] | None:
    """One used device's peak by dtype; None where they differ, or the board is not known."""
    board = board_of(devices)
    known = peak(board) if board is not None else None
    return known.flops_per_s if known is not None else None


def board_of(devices: Sequence[Device]) -> str | None:
    """The name that all used devices have; None where they differ, or none is known."""
    names = {device.name for device in devices if device.used}
    return names.pop() if len(names) == 1 else None
