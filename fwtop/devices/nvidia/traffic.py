"""Bytes a second over PCIe and NVLink.

Both are counters of the GPU where it has them, so that a rate is the truth over the whole time
since the last sample. NVLink's count KiB over all links. PCIe's count bytes, but where they are
only 32 bits wide they wrap several times a second on a busy bus and tell nothing; there, and where
there are none, NVML measures for 20 ms a direction while the caller waits, so that is asked for
only now and then and its answer is kept until the next.
"""

from __future__ import annotations

from typing import Any

import pynvml

from fwtop.devices.nvidia.inquiry import Inquiry, check_gone, lacking
from fwtop.devices.rates import CounterRate, whole

ALL_LINKS = 0xFFFFFFFF
NVLINK_TX, NVLINK_RX = 138, 139
"""NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_{TX,RX}."""
PCIE_TX, PCIE_RX = 197, 198
"""NVML_FI_DEV_PCIE_COUNT_{TX,RX}_BYTES; older bindings have no name for them."""

MEASURE_EVERY = 5
"""Samples from one 20 ms measurement of a GPU's PCIe traffic to its next."""

_WIDE = {2: "ulVal", 3: "ullVal", 4: "sllVal"}
"""NVML_VALUE_TYPE_* of at least 64 bits (`unsigned long` has them on Linux)."""
_SCOPES = {NVLINK_TX: ALL_LINKS, NVLINK_RX: ALL_LINKS, PCIE_TX: 0, PCIE_RX: 0}
_SCALE = {NVLINK_TX: 1024, NVLINK_RX: 1024, PCIE_TX: 1, PCIE_RX: 1}


class Traffic:
    """One GPU's traffic; directions are the GPU's own: received is into it."""

    def __init__(self, inquiry: Inquiry, index: int) -> None:
        self._inquiry = inquiry
        self._rates = {field: CounterRate() for field in _SCOPES}
        self._until_measured = index % MEASURE_EVERY  # GPUs take turns
        self._measured: dict[int, int | None] = {}

    def read(self, handle: Any, at_ns: int) -> dict[int, int | None]:
        """Bytes a second by field, `NVLINK_RX` … `PCIE_TX`. Raises as `Inquiry.ask`."""
        counters = self._counters(handle)
        rates = {
            field: whole(rate.update(counters.get(field), at_ns))
            for field, rate in self._rates.items()
        }
        if PCIE_TX not in counters and PCIE_RX not in counters:
            rates |= self._measure_pcie(handle)
        return rates

    def _counters(self, handle: Any) -> dict[int, int]:
        wanted = [field for field in _SCOPES if self._inquiry.open(f"counter {field}")]
        if not wanted:
            return {}
        scoped = [(field, _SCOPES[field]) for field in wanted]
        values = self._inquiry.ask(
            "counters", lambda: pynvml.nvmlDeviceGetFieldValues(handle, scoped)
        )
        found: dict[int, int] = {}
        for field, value in zip(wanted, values or (), strict=False):
            check_gone(value.nvmlReturn)
            if lacking(value.nvmlReturn):
                self._inquiry.lacks(f"counter {field}")
            elif value.nvmlReturn == pynvml.NVML_SUCCESS:
                if value.valueType in _WIDE:
                    found[field] = getattr(value.value, _WIDE[value.valueType]) * _SCALE[field]
                else:
                    self._inquiry.lacks(f"counter {field}")
        return found

    def _measure_pcie(self, handle: Any) -> dict[int, int | None]:
        if self._until_measured == 0:
            self._until_measured = MEASURE_EVERY
            self._measured = {
                PCIE_TX: self._measure(handle, "tx", pynvml.NVML_PCIE_UTIL_TX_BYTES),
                PCIE_RX: self._measure(handle, "rx", pynvml.NVML_PCIE_UTIL_RX_BYTES),
            }
        self._until_measured -= 1
        return self._measured

    def _measure(self, handle: Any, direction: str, counter: int) -> int | None:
        kilobytes = self._inquiry.ask(
            f"pcie {direction}",
            lambda: pynvml.nvmlDeviceGetPcieThroughput(handle, counter),
        )
        return None if kilobytes is None else int(kilobytes) * 1000
