"""One GPU or MIG instance: its description, its readings and the processes on it.

Everything here runs on the thread that owns NVML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pynvml

from fwtop.devices.nvidia import throttle
from fwtop.devices.nvidia.inquiry import Inquiry
from fwtop.devices.nvidia.traffic import NVLINK_RX, NVLINK_TX, PCIE_RX, PCIE_TX, Traffic
from fwtop.devices.samples import DeviceDescription, DeviceReading, Fact

_UNKNOWN = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
"""NVML_VALUE_NOT_AVAILABLE, as 32 and as 64 bits."""
MEGA = 1_000_000
SLOW_EVERY = 5
"""Samples between two looks at what changes rarely (limits, ECC)."""


@dataclass(frozen=True, slots=True)
class OnDevice:
    """A process that holds a context on a device."""

    pid: int
    memory_bytes: int | None


class Gpu:
    """One handle of NVML's, from sample to sample."""

    def __init__(
        self,
        handle: Any,
        index: int,
        uuid: str | None,
        clock: Callable[[], int],
        facts: Mapping[str, Fact],
        parent_key: str | None = None,
    ) -> None:
        """Asks for what does not change. Raises GpuGoneError, DriverGoneError."""
        self.handle = handle
        """NVML's own; may be renewed."""
        self._inquiry = Inquiry(clock)
        self._traffic = Traffic(self._inquiry, index)
        self._until_slow = 0
        self._slow: dict[str, float | int | None] = {}
        self.index = index
        ask = self._inquiry.ask
        place = f"{parent_key}/{index}" if parent_key else f"nvidia:{index}"
        memory = self._memory()
        self.description = DeviceDescription(
            device_key=uuid or place,
            vendor="nvidia",
            device_index=index,
            name=ask("name", lambda: str(pynvml.nvmlDeviceGetName(handle))) or "NVIDIA GPU",
            uuid=uuid,
            parent_key=parent_key,
            memory_total_bytes=memory.total if memory is not None else None,
            facts=dict(facts) | self._facts(),
        )

    @property
    def key(self) -> str:
        """Its `device_key`."""
        return self.description.device_key

    def read(self, at_ns: int) -> DeviceReading:
        """Its figures now; None for what it lacks. Raises GpuGoneError, DriverGoneError."""
        handle, ask = self.handle, self._inquiry.ask
        use = ask("utilization", lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
        memory = self._memory()
        power_mw = self._number("power", lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        slow = self._read_slowly()
        traffic = self._traffic.read(handle, at_ns)
        reasons = self._inquiry.first(
            "reasons",
            lambda: int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)),
            lambda: int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        )
        return DeviceReading(
            device_key=self.key,
            at_ns=at_ns,
            utilization_ratio=use.gpu / 100 if use is not None else None,
            memory_utilization_ratio=use.memory / 100 if use is not None else None,
            memory_used_bytes=memory.used if memory is not None else None,
            power_w=power_mw / 1000 if power_mw is not None else None,
            power_limit_w=slow["power_limit_w"],
            sm_clock_hz=self._clock_hz("sm clock", pynvml.NVML_CLOCK_SM),
            memory_clock_hz=self._clock_hz("memory clock", pynvml.NVML_CLOCK_MEM),
            temperature_c=self._temperature(),
            fan_ratio=slow["fan_ratio"],
            pcie_generation=self._number(
                "pcie generation", lambda: pynvml.nvmlDeviceGetCurrPcieLinkGeneration(handle)
            ),
            pcie_width=self._number(
                "pcie width", lambda: pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle)
            ),
            pcie_rx_bytes_per_s=traffic.get(PCIE_RX),
            pcie_tx_bytes_per_s=traffic.get(PCIE_TX),
            nvlink_rx_bytes_per_s=traffic.get(NVLINK_RX),
            nvlink_tx_bytes_per_s=traffic.get(NVLINK_TX),
            throttle_reasons=None if reasons is None else throttle.words(reasons),
            ecc_corrected=_integer(slow["ecc_corrected"]),
            ecc_uncorrected=_integer(slow["ecc_uncorrected"]),
        )

    def processes(self) -> tuple[OnDevice, ...]:
        """Who holds a context on it. Raises GpuGoneError, DriverGoneError."""
        found: dict[int, int | None] = {}
        for kind in ("Compute", "Graphics", "MPSCompute"):
            listed = self._inquiry.first(
                f"{kind} processes",
                *(
                    partial(call, self.handle)
                    for version in ("_v3", "_v2")  # drivers before 510 have the second alone
                    if (
                        call := getattr(
                            pynvml, f"nvmlDeviceGet{kind}RunningProcesses{version}", None
                        )
                    )
                ),
            )
            for process in listed or ():
                used = process.usedGpuMemory
                # In two lists it is one context with the same figure.
                before = found.get(process.pid)
                known = used if used not in _UNKNOWN and used is not None else before
                found[process.pid] = known if before is None else max(before, known or 0)
        return tuple(OnDevice(pid, used) for pid, used in sorted(found.items()))

    def instances(self) -> list[tuple[int, Any]]:
        """Numbers and handles of its MIG instances. Raises GpuGoneError, DriverGoneError."""
        mode = self._inquiry.ask("mig", lambda: pynvml.nvmlDeviceGetMigMode(self.handle))
        if not mode or mode[0] != 1:
            return []
        most = self._number("mig", lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(self.handle))
        found: list[tuple[int, Any]] = []
        for index in range(most or 0):
            # An empty place answers NOT_FOUND, which is not a lack.
            handle = self._inquiry.ask(
                f"mig {index}",
                partial(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, self.handle, index),
            )
            if handle is not None:
                found.append((index, handle))
        return found

    def _read_slowly(self) -> dict[str, Any]:
        if self._until_slow == 0:
            self._until_slow = SLOW_EVERY
            handle = self.handle
            limit_mw = self._inquiry.first(
                "power limit",
                lambda: int(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle)),
                lambda: int(pynvml.nvmlDeviceGetPowerManagementLimit(handle)),
            )
            fan = self._number("fan", lambda: pynvml.nvmlDeviceGetFanSpeed(handle))
            self._slow = {
                "power_limit_w": limit_mw / 1000 if limit_mw is not None else None,
                "fan_ratio": fan / 100 if fan is not None else None,
                "ecc_corrected": self._ecc(pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
                "ecc_uncorrected": self._ecc(pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
            }
        self._until_slow -= 1
        return self._slow

    def _memory(self) -> Any:
        # Version 2 does not count what the driver keeps for itself as used.
        handle = self.handle
        return self._inquiry.first(
            "memory",
            lambda: pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2),
            lambda: pynvml.nvmlDeviceGetMemoryInfo(handle),
        )

    def _temperature(self) -> int | None:
        handle, sensor = self.handle, pynvml.NVML_TEMPERATURE_GPU
        ways = [lambda: pynvml.nvmlDeviceGetTemperature(handle, sensor)]
        if hasattr(pynvml, "nvmlDeviceGetTemperatureV"):
            ways.append(lambda: pynvml.nvmlDeviceGetTemperatureV(handle, sensor))
        return self._inquiry.first("temperature", *ways)

    def _ecc(self, kind: int) -> int | None:
        return self._number(
            f"ecc {kind}",
            lambda: pynvml.nvmlDeviceGetTotalEccErrors(self.handle, kind, pynvml.NVML_VOLATILE_ECC),
        )

    def _clock_hz(self, field: str, kind: int) -> int | None:
        mhz = self._number(field, lambda: pynvml.nvmlDeviceGetClockInfo(self.handle, kind))
        return None if mhz is None else mhz * MEGA

    def _number(self, field: str, call: Callable[[], Any]) -> int | None:
        value = self._inquiry.ask(field, call)
        return None if value is None or value in _UNKNOWN else int(value)

    def _facts(self) -> dict[str, Fact]:
        handle, number = self.handle, self._number
        ecc = self._inquiry.ask("ecc mode", lambda: pynvml.nvmlDeviceGetEccMode(handle))
        mig = self._inquiry.ask("mig", lambda: pynvml.nvmlDeviceGetMigMode(handle))
        bus = self._inquiry.ask("bus", lambda: str(pynvml.nvmlDeviceGetPciInfo(handle).busId))
        capability = self._inquiry.ask(
            "capability", lambda: pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        )
        sm_max = number(
            "sm max", lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM)
        )
        memory_max = number(
            "memory max", lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)
        )
        facts: dict[str, Fact | None] = {
            "bus_id": bus,
            "compute_capability": ".".join(map(str, capability)) if capability else None,
            "ecc": bool(ecc[0]) if ecc else None,
            "mig": bool(mig[0]) if mig else None,
            "pcie_generation_max": number(
                "pcie generation max", lambda: pynvml.nvmlDeviceGetMaxPcieLinkGeneration(handle)
            ),
            "pcie_width_max": number(
                "pcie width max", lambda: pynvml.nvmlDeviceGetMaxPcieLinkWidth(handle)
            ),
            "sm_clock_max_hz": sm_max * MEGA if sm_max is not None else None,
            "memory_clock_max_hz": memory_max * MEGA if memory_max is not None else None,
        }
        return {name: value for name, value in facts.items() if value is not None}


def _integer(value: float | int | None) -> int | None:
    return None if value is None else int(value)
