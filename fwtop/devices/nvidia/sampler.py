"""NVIDIA GPUs through NVML, without ever waiting for a driver that hangs.

NVML is called on one thread of its own (`NvmlReader` behind `DeadlineThread`). This side, the
recorder's, keeps what was last known, tells changes, and marks what belongs to the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import psutil

from fwtop.devices.deadline import DeadlineExceededError, DeadlineThread
from fwtop.devices.nvidia.reader import Found, NvmlReader, UnavailableError
from fwtop.devices.nvidia.reasons import NO_GPU, Reason, reason, words
from fwtop.devices.sampler import Sampler
from fwtop.devices.samples import (
    DeviceDescription,
    DeviceProcessReading,
    DeviceReading,
    RunScope,
    SamplerNotice,
    Samples,
)

DEADLINE_S = 1.0
OPENING_S = 30.0
"""Without persistence mode `nvmlInit` wakes each GPU, which takes seconds a GPU: no reason to worry
before this."""


class NvidiaSampler:
    """Yields one `DeviceReading` a GPU and MIG instance a call."""

    name = "nvidia"

    def __init__(
        self,
        clock: Callable[[], int] = time.monotonic_ns,
        deadline_s: float = DEADLINE_S,
        opening_s: float = OPENING_S,
    ) -> None:
        """`deadline_s` is the longest that a call waits; `opening_s` see `OPENING_S`."""
        self._clock = clock
        self._deadline_s = deadline_s
        self._opening_s = opening_s
        self._thread = DeadlineThread("NVML")
        self._reader = NvmlReader(clock)
        self._devices: dict[str, DeviceDescription] = {}
        self._sent: dict[str, DeviceDescription] = {}
        self._used: set[str] = set()
        self._gone: dict[str, DeviceDescription] = {}
        self._refused: frozenset[tuple[int, int]] = frozenset()
        self._names: dict[int, str | None] = {}
        self._reason: str | None = "NVML has not been asked yet"
        self._remedy = ""
        self._told: str | None = None
        self._notices: list[SamplerNotice] = []
        self._answered = False
        self._retry_ns: int | None = None

    @property
    def reason(self) -> str | None:
        """Why there are no readings now; None while GPUs answer."""
        return self._reason

    @property
    def remedy(self) -> str:
        """What to do about `reason`; empty without one."""
        return self._remedy

    def start(self) -> None:
        """Look for GPUs, for at most `deadline_s`; what takes longer goes on by itself."""
        if not self._answered and self._retry_ns is None:
            self._look(self._clock())

    def describe(self) -> tuple[DeviceDescription, ...]:
        """The GPUs and MIG instances as last seen."""
        return tuple(self._devices.values())

    def sample(self, run: RunScope) -> Samples:
        """One reading now; empty ones, and a notice once, if NVML does not answer."""
        at_ns = self._clock()
        silent_still = self._retry_ns is not None and at_ns < self._retry_ns
        found = None if silent_still else self._look(at_ns)
        processes = self._processes(found, run, at_ns) if found else ()
        self._mark(processes, run)
        silent = [*self._gone] if found else [*self._gone, *self._devices]
        readings = found.readings if found else ()
        changed = [d for d in self._described() if self._sent.get(d.device_key) != d]
        self._sent |= {device.device_key: device for device in changed}
        notices, self._notices, self._gone = tuple(self._notices), [], {}
        return Samples(
            at_ns=at_ns,
            devices=tuple(changed),
            readings=(*readings, *(DeviceReading(key, at_ns) for key in silent)),
            processes=processes,
            notices=notices,
            stale=found is None and bool(self._devices),
        )

    def close(self) -> None:
        """Let go of NVML; a call that hangs is left behind."""
        if self._answered and not self._thread.hanging:
            try:
                self._thread.call(self._reader.close, self._deadline_s)
            except DeadlineExceededError:
                pass
        self._thread.close()

    def _look(self, at_ns: int) -> Found | None:
        self._retry_ns = None
        try:
            found = self._thread.call(self._reader.read, self._deadline_s)
        except DeadlineExceededError as error:
            self._hanging(error)
            return None
        except UnavailableError as error:
            self._unavailable(reason(error.code), at_ns)
            return None
        except Exception as error:  # a binding that is not as we know it; told as a notice
            self._unavailable(Reason(f"reading NVML failed: {error!r}", ""), at_ns)
            return None
        self._answered = True
        if not found.devices and not found.refused:
            self._unavailable(NO_GPU, at_ns)
            return None
        self._answers(found)
        return found

    def _answers(self, found: Found) -> None:
        if self._told is not None:
            self._notice("info", "nvml-answers", "NVML answers again.")
        self._reason, self._remedy, self._told = None, "", None
        before, self._devices = self._devices, {d.device_key: d for d in found.devices}
        for key, device in before.items():
            if key not in self._devices:
                self._gone[key] = device
                self._notice(*_loss(device))
        for key, device in self._devices.items():
            if before and key not in before:
                self._notice("info", "gpu-found", f"{_label(device)} is there now.")
        for index, code in set(found.refused) - self._refused:
            self._notice("warning", "gpu-refused", f"GPU {index} cannot be read: {words(code)}.")
        self._refused = frozenset(found.refused)

    def _unavailable(self, why: Reason, at_ns: int) -> None:
        self._gone |= self._devices
        self._devices = {}
        self._retry_ns = at_ns + round(why.retry_after_s * 1e9)
        self._fail(why.text, why.next, why.severity, "nvml-unavailable")

    def _hanging(self, error: DeadlineExceededError) -> None:
        if not self._answered and error.hanging_s < self._opening_s:
            self._reason = "NVML is still starting"
            return
        self._fail(
            "the NVIDIA driver does not answer: a call to NVML hangs",
            "Training is not touched by this. `dmesg | grep -e Xid -e NVRM` may tell why; readings "
            "come again by themselves once the driver answers.",
            "warning",
            "nvml-hangs",
        )

    def _fail(self, text: str, remedy: str, severity: str, code: str) -> None:
        self._reason, self._remedy = text, remedy
        if self._told != text:
            self._told = text
            self._notice(severity, code, f"GPUs are not shown: {text}.", remedy)

    def _notice(self, severity: str, code: str, text: str, remedy: str = "") -> None:
        self._notices.append(SamplerNotice(severity, code, text, remedy))

    def _processes(
        self, found: Found, run: RunScope, at_ns: int
    ) -> tuple[DeviceProcessReading, ...]:
        own = run.roots | run.pids
        here = {process.pid for _, process in found.processes}
        self._names = {pid: self._names.get(pid) or _name(pid) for pid in here}
        return tuple(
            DeviceProcessReading(
                device_key=key,
                pid=process.pid,
                at_ns=at_ns,
                name=self._names[process.pid],
                memory_bytes=process.memory_bytes,
                own=process.pid in own,
            )
            for key, process in found.processes
        )

    def _mark(self, processes: Iterable[DeviceProcessReading], run: RunScope) -> None:
        """Add the devices that the run uses, by its processes and by what its probes named."""
        uuids = {_bare(uuid) for uuid in run.device_uuids}
        used = {process.device_key for process in processes if process.own}
        used |= {d.device_key for d in self._devices.values() if d.uuid and _bare(d.uuid) in uuids}
        # Whoever uses an instance uses its GPU.
        parents = {d.parent_key for key, d in self._devices.items() if key in used}
        self._used |= used | {parent for parent in parents if parent}

    def _described(self) -> list[DeviceDescription]:
        return [replace(d, used=key in self._used) for key, d in self._devices.items()]


def _label(device: DeviceDescription) -> str:
    kind = "GPU" if device.parent_key is None else "MIG instance"
    return f"{kind} {device.device_index} ({device.name})"


def _loss(device: DeviceDescription) -> tuple[str, str, str, str]:
    """Severity, code, text and remedy."""
    if device.parent_key is not None:
        return "info", "mig-gone", f"{_label(device)} is gone.", ""
    remedy = "`dmesg | grep Xid` tells why; a GPU that fell off the bus needs a reset or a reboot."
    return "warning", "gpu-lost", f"{_label(device)} no longer answers.", remedy


def _bare(uuid: str) -> str:
    """A UUID as torch (bare) and NVML (with its kind before it) have in common."""
    lower = uuid.lower()
    for kind in ("gpu-", "mig-"):
        lower = lower.removeprefix(kind)
    return lower


def _name(pid: int) -> str | None:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return None  # another user's, or of another process namespace


_: type[Sampler] = (
    NvidiaSampler  # mypy's proof; a Protocol that is inherited from would hide a lack
)
