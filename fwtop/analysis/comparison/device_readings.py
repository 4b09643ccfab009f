"""Memory and GPUs of one run, as a comparison shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fwtop.analysis.comparison.facts import RunFacts
from fwtop.analysis.comparison.reading import HIGHER, LOWER, NEITHER, Reading
from fwtop.analysis.finders.devices import NO_THROTTLE
from fwtop.recording.model import Device, DeviceSample


def device_readings(run: RunFacts) -> Iterator[Reading]:
    """What a run does not know has no value."""
    yield from _memory(run)
    yield from _devices(run)


def _memory(run: RunFacts) -> Iterator[Reading]:
    memory = run.summary.memory
    for metric, label, value in (
        ("memory.peak", "allocated at most", memory.allocated_peak_bytes),
        ("memory.reserved_peak", "reserved at most", memory.reserved_peak_bytes),
        ("memory.rss", "host memory at most", run.peak_rss_bytes),
    ):
        yield Reading(metric, "memory", label, "bytes", LOWER, value)
    held: dict[str, int] = {}
    for holder in memory.peak_holders:
        held[holder.operator] = held.get(holder.operator, 0) + holder.bytes
    for operator, size in held.items():
        label = f"held by {operator} at the peak"
        yield Reading(f"memory_holder[{operator}]", "memory", label, "bytes", LOWER, size)


@dataclass(frozen=True)
class _DeviceFigure:
    name: str
    label: str
    unit: str
    better: str
    of: Callable[[DeviceSample], float | None]
    highest: bool = False
    """Over several devices: the highest, and not the mean."""


_DEVICE_FIGURES = (
    _DeviceFigure("utilization", "utilisation", "ratio", HIGHER, lambda s: s.utilization_ratio),
    _DeviceFigure("memory", "memory used", "bytes", LOWER, lambda s: s.memory_used_bytes, True),
    _DeviceFigure("power", "power", "watts", NEITHER, lambda s: s.power_w),
    _DeviceFigure("temperature", "temperature", "celsius", LOWER, lambda s: s.temperature_c, True),
)


def _devices(run: RunFacts) -> Iterator[Reading]:
    """Of all devices that the run uses, and of each where there are several."""
    used = run.facts.used_devices
    groups: list[tuple[str, Sequence[Device]]] = [("gpu", used)]
    if len(used) > 1:
        groups += [(f"gpu[{device.index}]", (device,)) for device in used]
    for metric, devices in groups:
        means = [run.facts.device_means.get(device.id) for device in devices]
        known = [mean for mean in means if mean is not None]
        name = metric.removeprefix("gpu").strip("[]")
        for figure in _DEVICE_FIGURES:
            values = [value for mean in known if (value := figure.of(mean)) is not None]
            value = _together(values, figure.highest)
            label = f"GPU {name} {figure.label}" if name else f"GPU {figure.label}"
            full = f"{metric}.{figure.name}"
            yield Reading(full, "devices", label, figure.unit, figure.better, value)
        label = f"GPU {name} throttled" if name else "GPU throttled"
        read = [device for device in devices if device.id in run.facts.device_means]
        throttled = _together([_throttled(run, device) for device in read], True)
        yield Reading(f"{metric}.throttled", "devices", label, "ratio", LOWER, throttled)


def _throttled(run: RunFacts, device: Device) -> float:
    """The largest share of the readings that one reason had which is not the user's own."""
    reasons = run.facts.throttled.get(device.id, {})
    return max(
        (had / told for reason, (had, told) in reasons.items()
         if told and reason not in NO_THROTTLE),
        default=0.0,
    )  # fmt: skip


def _together(values: Sequence[float], highest: bool) -> float | None:
    if not values:
        return None
    return max(values) if highest else sum(values) / len(values)
