"""All of NVML's devices, read in one go on the thread that owns NVML.

Owns the library's being open or not and the list of GPUs. GPUs come and go at run time: a changed
count has the list made again, a GPU that is lost is told once and looked for again now and then,
which takes a fresh `nvmlInit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pynvml

from fwtop.devices.nvidia.gpu import Gpu, OnDevice
from fwtop.devices.nvidia.inquiry import DriverGoneError, GpuGoneError, Inquiry, is_gone
from fwtop.devices.samples import DeviceDescription, DeviceReading, Fact

LIST_AGAIN_NS = 10_000_000_000
"""MIG instances change without a sign."""
OPEN_AGAIN_NS = 60_000_000_000
"""A lost GPU is seen again only by a fresh `nvmlInit`, which may take seconds."""


class UnavailableError(Exception):
    """NVML cannot be had; its return code is `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Found:
    """One look at all devices."""

    devices: tuple[DeviceDescription, ...]
    """Those that answer; a MIG instance comes after its GPU."""
    readings: tuple[DeviceReading, ...]
    processes: tuple[tuple[str, OnDevice], ...]
    """Device key and process."""
    refused: tuple[tuple[int, int], ...]
    """Number and return code of GPUs that NVML counts but does not let us have."""


class NvmlReader:
    """NVML, opened when first read and reopened after it was lost."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._open = False
        self._opened_ns = 0
        self._listed_ns = 0
        self._count = -1
        self._gpus: dict[str, Gpu] = {}
        self._lost = False
        self._refused: tuple[tuple[int, int], ...] = ()
        self._facts: dict[str, Fact] = {}

    def read(self) -> Found:
        """Every device's figures now. Raises UnavailableError."""
        try:
            self._list()
            return self._read_all()
        except pynvml.NVMLError as error:
            self.close()
            raise UnavailableError(error.value) from error
        except DriverGoneError as error:
            self.close()
            raise UnavailableError(error.code) from error

    def close(self) -> None:
        """Let go of NVML. A second call does nothing."""
        self._gpus = {}
        self._count = -1
        if self._open:
            self._open = False
            try:
                pynvml.nvmlShutdown()
            except pynvml.NVMLError:
                pass  # it is gone already

    def _read_all(self) -> Found:
        readings: list[DeviceReading] = []
        processes: list[tuple[str, OnDevice]] = []
        parents = {gpu.description.parent_key for gpu in self._gpus.values()}
        for key, gpu in list(self._gpus.items()):
            if key not in self._gpus:  # an instance of a GPU just lost
                continue
            try:
                readings.append(gpu.read(self._clock()))
                # A GPU that is split up repeats the processes of its instances.
                if key not in parents:
                    processes += [(key, process) for process in gpu.processes()]
            except GpuGoneError:
                self._drop(key)
        present = self._gpus
        return Found(
            devices=tuple(gpu.description for gpu in present.values()),
            readings=tuple(reading for reading in readings if reading.device_key in present),
            processes=tuple((key, process) for key, process in processes if key in present),
            refused=self._refused,
        )

    def _drop(self, key: str) -> None:
        self._lost = True
        for child in [k for k, gpu in self._gpus.items() if gpu.description.parent_key == key]:
            del self._gpus[child]
        del self._gpus[key]

    def _list(self) -> None:
        now_ns = self._clock()
        kept = self._gpus
        if self._open and self._lost and now_ns - self._opened_ns >= OPEN_AGAIN_NS:
            self.close()
        if not self._open:
            pynvml.nvmlInit()
            self._open, self._opened_ns, self._lost = True, now_ns, False
            self._facts = _driver_facts(self._clock)
        count = pynvml.nvmlDeviceGetCount()
        if count != self._count:
            self._list_gpus(count, kept)
        elif now_ns - self._listed_ns >= LIST_AGAIN_NS:
            self._list_instances(kept)
        else:
            return
        self._count, self._listed_ns = count, now_ns

    def _list_gpus(self, count: int, before: dict[str, Gpu]) -> None:
        self._gpus = {}
        refused: list[tuple[int, int]] = []
        for index in range(count):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                gpu = self._recognize(handle, index, None, before)
                self._gpus[gpu.key] = gpu
            except pynvml.NVMLError as error:
                refused.append((index, error.value))
            except GpuGoneError as error:
                refused.append((index, error.code))
        self._lost = any(is_gone(code) for _, code in refused)
        self._refused = tuple(refused)
        self._list_instances(before)

    def _list_instances(self, before: dict[str, Gpu]) -> None:
        listed: dict[str, Gpu] = {}
        for gpu in self._gpus.values():
            if gpu.description.parent_key is not None:
                continue
            try:
                instances = [
                    self._recognize(handle, index, gpu.key, before)
                    for index, handle in gpu.instances()
                ]
            except GpuGoneError:
                self._lost = True
                continue
            listed |= {device.key: device for device in (gpu, *instances)}
        self._gpus = listed

    def _recognize(
        self, handle: Any, index: int, parent: str | None, before: dict[str, Gpu]
    ) -> Gpu:
        """The device that is known already, with what it lacks and its counters, or a new one.

        Raises GpuGoneError, DriverGoneError.
        """
        uuid = Inquiry(self._clock).ask("uuid", lambda: str(pynvml.nvmlDeviceGetUUID(handle)))
        gpu = before.get(uuid) if uuid else None
        if gpu is None or gpu.index != index or gpu.description.parent_key != parent:
            return Gpu(handle, index, uuid, self._clock, self._facts, parent)
        gpu.handle = handle
        return gpu


def _driver_facts(clock: Callable[[], int]) -> dict[str, Fact]:
    ask = Inquiry(clock).ask
    driver = ask("driver", lambda: str(pynvml.nvmlSystemGetDriverVersion()))
    cuda = ask("cuda", lambda: int(pynvml.nvmlSystemGetCudaDriverVersion_v2()))
    facts: dict[str, Fact] = {}
    if driver:
        facts["driver"] = driver
    if cuda:
        facts["cuda"] = f"{cuda // 1000}.{cuda % 1000 // 10}"
    return facts
