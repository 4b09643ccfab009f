"""Why NVML cannot be had, for a person: what is wrong and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

import pynvml


@dataclass(frozen=True, slots=True)
class Reason:
    """What is wrong, and what to do next."""

    text: str
    next: str
    severity: str = "warning"
    retry_after_s: float = 60


_REASONS = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: Reason(
        "no NVIDIA driver here: libnvidia-ml.so.1 was not found",
        "Nothing, on a machine without an NVIDIA GPU. In a container, start it with the GPUs "
        "(docker run --gpus all) and with `utility` in NVIDIA_DRIVER_CAPABILITIES.",
        severity="info",
        retry_after_s=600,
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: Reason(
        "the NVIDIA driver is installed but not loaded",
        "Load it (sudo modprobe nvidia); `dmesg | grep NVRM` tells why it does not load.",
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: Reason(
        "the NVIDIA driver was updated but not reloaded: kernel module and library differ",
        "Reboot, or unload and load the nvidia modules while nothing uses the GPUs.",
        retry_after_s=600,
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: Reason(
        "no permission to talk to the NVIDIA driver",
        "Look at who may open /dev/nvidiactl and /dev/nvidia0; a job scheduler may hide them "
        "from jobs that did not ask for a GPU.",
    ),
    pynvml.NVML_ERROR_UNINITIALIZED: Reason(
        "the NVIDIA driver was unloaded while it was in use", "It is looked for again by itself."
    ),
}

NO_GPU = Reason(
    "the NVIDIA driver is loaded and sees no GPU",
    "`nvidia-smi` and `lspci -d 10de:` tell whether the machine has one.",
)


def reason(code: int) -> Reason:
    """The reason for an NVML return code."""
    known = _REASONS.get(code)
    return known or Reason(f"NVML failed: {words(code)}", "See what `nvidia-smi` says.")


def words(code: int) -> str:
    """NVML's own words for a return code."""
    return f"{pynvml.NVMLError(code)} (NVML error {code})"
