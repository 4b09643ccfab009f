"""How well each device was used over a window: utilisation, efficiency, occupancy, launches.

Source of utilisation, SM efficiency, occupancy and tensor core share: the PyTorch profiler's
TensorBoard plugin (`gpu_metrics_parser.py`, `range_utils.py`, `tensor_cores_parser.py`; BSD). All
four are of kernels alone, cut to the time from the first step's start to the last one's end:
- GPU utilisation = U(kernels) / span;
- estimated SM efficiency = the integral of min(1, the sum of the blocks per multiprocessor of the
  kernels that run at once) / span;
- mean estimated achieved occupancy = sum(occupancy x time) / sum(time), over the kernels that tell;
- tensor core share = time of kernels that use tensor cores / time of kernels, as sums.
Source of queue and launch delay: see `fwtop.analysis.temporal`. Here are the numerators and
denominators, because sums of windows and ranks add up where ratios do not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from fwtop.analysis.intervals import Interval, intersection, length, union
from fwtop.analysis.results import DeviceFigures, KernelEfficiency
from fwtop.analysis.sketch import Sketch
from fwtop.analysis.temporal import Launch, launch_delays, queue_lengths
from fwtop.analysis.tensor_cores import uses_tensor_cores
from fwtop.traces.model import KERNEL, DeviceEvent

MOST = 1 << 53
"""Of a window (104 days), so that the sums over many fit; only damaged traces come near it."""


def of_devices(
    events: Sequence[DeviceEvent], launches: Mapping[int, Launch], bounds: Interval | None
) -> list[DeviceFigures]:
    """The figures of each device that has events, by its number.

    `bounds` is from the first step's start to the last one's end; without steps, a device's own
    first start and last end stand for it.
    """
    by_device: dict[int, list[DeviceEvent]] = defaultdict(list)
    for event in events:
        by_device[event.device].append(event)
    return [_of_device(by_device[device], launches, bounds) for device in sorted(by_device)]


def efficiency(events: Iterable[DeviceEvent]) -> list[KernelEfficiency]:
    """By kernel name, over the calls that tell their launch sizes; none where none does."""
    sums: dict[str, list[float]] = {}
    for event in events:
        if event.kind != KERNEL:
            continue
        blocks, occupancy = event.blocks_per_sm, event.occupancy_ratio
        if blocks is None and occupancy is None:
            continue
        row = sums.setdefault(event.name, [0.0, 0.0, 0.0, 0.0, 0.0])
        row[0] += event.duration_ns
        if blocks is not None:
            row[1] += min(1.0, blocks) * event.duration_ns
            row[2] += 1
        if occupancy is not None:
            row[3] += occupancy * event.duration_ns
            row[4] += 1
    return [
        KernelEfficiency(
            name, _bounded(row[0]), row[1] if row[2] else None, row[3] if row[4] else None
        )
        for name, row in sums.items()
    ]


def sm_busy_ns(kernels: Iterable[DeviceEvent], bounds: Interval) -> float | None:
    """The integral over `bounds` of min(1, blocks per multiprocessor of all that runs).

    None where no kernel tells. Kernels without blocks are left out, as the plugin does.
    """
    changes: list[tuple[int, float]] = []
    for event in kernels:
        if event.blocks_per_sm:
            start, end = max(event.start_ns, bounds[0]), min(event.end_ns, bounds[1])
            if start < end:
                changes += ((start, event.blocks_per_sm), (end, -event.blocks_per_sm))
    if not changes:
        return None
    changes.sort(key=_at)
    busy = running = 0.0
    before = changes[0][0]
    for at, change in changes:
        # What rounding leaves of ended kernels is no kernel.
        if at > before and running > 1e-9:
            busy += min(1.0, running) * (at - before)
        before = at
        running += change
    return busy


def _at(change: tuple[int, float]) -> int:
    return change[0]


def _of_device(
    events: Sequence[DeviceEvent], launches: Mapping[int, Launch], bounds: Interval | None
) -> DeviceFigures:
    start, end = bounds or (min(e.start_ns for e in events), max(e.end_ns for e in events))
    kernels = [event for event in events if event.kind == KERNEL]
    busy = intersection(union((e.start_ns, e.end_ns) for e in kernels), [(start, end)])
    kernel_ns = tensor_core_ns = measured_ns = 0
    occupied_ns: float | None = None
    for event in kernels:
        within = min(event.end_ns, end) - max(event.start_ns, start)
        if within <= 0:
            continue
        kernel_ns += within
        if uses_tensor_cores(event.name):
            tensor_core_ns += within
        if event.occupancy_ratio is not None:
            measured_ns += within
            occupied_ns = (occupied_ns or 0.0) + event.occupancy_ratio * within
    delays = launch_delays(events, launches)
    sketch = Sketch()
    sketch.add_many(delays)
    waiting = queue_lengths(events, launches)
    return DeviceFigures(
        device=events[0].device,
        span_ns=_bounded(end - start),
        busy_ns=length(busy),
        kernel_ns=_bounded(kernel_ns),
        measured_ns=_bounded(measured_ns),
        sm_busy_ns=sm_busy_ns(kernels, (start, end)),
        occupied_ns=occupied_ns,
        tensor_core_ns=_bounded(tensor_core_ns) if kernels else None,
        launches=len(delays),
        launch_delay_sum_ns=_bounded(sum(delays)),
        launch_delays=sketch.to_bytes(),
        queue_max=max((most for s in waiting.values() for _, most in s), default=None),
    )


def _bounded(value: float) -> int:
    return max(0, min(int(value), MOST))
