"""What the GPUs tell: idle, under-used, throttled, short of memory."""

from __future__ import annotations

from collections.abc import Iterator

from fwtop.analysis.finders.facts import Facts, Finding
from fwtop.analysis.finders.kernels import is_launch_bound
from fwtop.analysis.finders.steps import INPUT_SHARE
from fwtop.formatting import format_bytes, format_duration, format_ratio, plural
from fwtop.recording.model import Device, DeviceSample

HOST_WAIT_SHARE = 0.15
IDLE_SHARE = 0.25
LOW_UTILIZATION = 0.50
MEMORY_SHARE = 0.93
THROTTLED_SHARE = 0.05
POWER_CAP = "power cap"
NO_THROTTLE = frozenset({"idle", "application clocks", "display clocks", "sync boost"})
"""Reasons that the user set, or that are none."""
ENOUGH_NS = 20_000_000_000
"""A device's mean of less than this is mostly its start."""
SYNCHRONIZING = frozenset({
    "aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero",
    "cudaStreamSynchronize", "cudaDeviceSynchronize", "hipStreamSynchronize",
})  # fmt: skip


def gpu_idle(facts: Facts) -> Iterator[Finding]:
    """In the traced steps the device stood idle, and not for want of launches alone: that is
    `kernels.launch_bound`.
    """
    if is_launch_bound(facts):
        return
    told = [window for window in facts.windows if window.span_ns and window.busy_ns is not None]
    span_ns = sum(window.span_ns or 0 for window in told)
    if not span_ns:
        return
    host_ns = sum(window.host_wait_ns or 0 for window in told)
    idle_share = 1 - sum(window.busy_ns or 0 for window in told) / span_ns
    host_share = host_ns / span_ns
    if host_share <= HOST_WAIT_SHARE and idle_share <= IDLE_SHARE:
        return
    steps = sum(window.step_count for window in told)
    why = (
        f"In {plural(steps, 'traced step')} the GPU did nothing {format_ratio(idle_share)} of the "
        f"time; {format_ratio(host_share)} it waited for the host to launch the next kernel."
    )
    next = "larger batches, fewer and larger kernels (torch.compile, fused optimizers), CUDA graphs"
    synchronizing = [row for row in facts.operators if row.name in SYNCHRONIZING]
    calls = max((row.calls for row in synchronizing), default=0) / max(1, facts.steps_traced)
    if calls >= 1:
        names = ", ".join(sorted({row.name for row in synchronizing}))
        why += f" {names}: {calls:.0f} a step make the host wait for the GPU first."
        next = f"call .item(), .cpu() and print(tensor) less often; {next}"
    loading = _loading_share(facts)
    if loading is not None and loading > INPUT_SHARE:
        why += (
            f" {format_ratio(loading)} of the traced steps the data loader ran and nothing on the "
            "GPU."
        )
        next = "load ahead: DataLoader(num_workers=…, prefetch_factor=…, pin_memory=True)"
    yield Finding(
        code="gpu_idle",
        severity="warning",
        why=why,
        evidence={
            "idle_ratio": idle_share,
            "host_wait_ratio": host_share,
            "host_wait_ns": host_ns / max(1, steps),
            "steps_traced": steps,
            "synchronizing_calls": calls,
            "data_loader_ratio": loading,
        },
        next=next,
        cost_ratio=max(idle_share, host_share),
    )


def gpu_underused(facts: Facts) -> Iterator[Finding]:
    """The devices' own utilisation is low while steps run."""
    if facts.steps.total_ns < ENOUGH_NS:
        return
    low = [
        (device, mean.utilization_ratio)
        for device, mean in _means(facts)
        if mean.utilization_ratio is not None and mean.utilization_ratio < LOW_UTILIZATION
    ]
    if not low:
        return
    device, load = min(low, key=lambda one: one[1])
    input_ns, step_ns = facts.steps.phases_ns.get("input"), facts.steps.mean_ns
    waits = input_ns / step_ns if input_ns and step_ns else 0.0
    next = (
        "larger batches, more work in flight (non_blocking copies, prefetch), fewer synchronizing "
        "calls; a deep window (c) shows what the host does meanwhile"
    )
    cost = 1 - load
    if waits > INPUT_SHARE:  # then this is the consequence, and is shown after its cause
        next, cost = "the wait for input comes first: see input_bound", min(cost, waits) * 0.99
    yield Finding(
        code="gpu_underused",
        severity="warning",
        why=f"{_named(device, len(low))} ran kernels in only {format_ratio(load)} of the time "
        "since the first step.",
        evidence={"device": device.index, "devices": len(low), "utilization_ratio": load},
        next=next,
        cost_ratio=cost,
    )


def throttling(facts: Facts) -> Iterator[Finding]:
    """Devices held their clocks down for a reason that is not the user's; once a reason."""
    found: dict[str, list[tuple[float, Device]]] = {}
    for device in facts.used_devices:
        for reason, (had, told) in facts.throttled.get(device.id, {}).items():
            share = had / told if told else 0.0
            if reason not in NO_THROTTLE and share > THROTTLED_SHARE:
                found.setdefault(reason, []).append((share, device))
    for reason, devices in sorted(found.items()):
        share, device = max(devices, key=lambda one: one[0])
        mean = facts.device_means.get(device.id)
        heat = mean.temperature_c if mean else None
        yield Finding(
            code="throttling",
            severity="info" if reason == POWER_CAP else "warning",
            why=f"{_named(device, len(devices))} held its clocks down in {format_ratio(share)} of "
            f"the readings: {reason}" + (f", at up to {heat:.0f} °C." if heat is not None else "."),
            evidence={
                "device": device.index,
                "devices": len(devices),
                "reason": reason,
                "readings_ratio": share,
                "temperature_c": heat,
                "power_w": mean.power_w if mean else None,
                "power_limit_w": mean.power_limit_w if mean else None,
            },
            next="the GPU works at its power limit, which is usual at full load"
            if reason == POWER_CAP
            else "check cooling, fans and the power supply (nvidia-smi -q -d PERFORMANCE)",
        )


def memory_near_limit(facts: Facts) -> Iterator[Finding]:
    """Devices' memory is almost full, whoever fills it."""
    full = [
        (used / total, used, total, device)
        for device, sample in _means(facts)
        if (used := sample.memory_used_bytes) is not None
        and (total := device.memory_total_bytes)
        and used / total >= MEMORY_SHARE
    ]
    if not full:
        return
    share, used, total, device = max(full, key=lambda one: one[0])
    yield Finding(
        code="memory_near_limit",
        severity="warning",
        why=f"{_named(device, len(full))} had {format_bytes(used)} of {format_bytes(total)} in use "
        f"({format_ratio(share)}).",
        evidence={
            "device": device.index,
            "devices": len(full),
            "used_bytes": used,
            "total_bytes": total,
        },
        next="smaller batches, activation checkpointing, mixed precision; or find the peak "
        "with a deep window (c)",
    )


def allocator(facts: Facts) -> Iterator[Finding]:
    """The allocator ran out, or had to give everything back and try again."""
    for event in facts.out_of_memory:
        yield Finding(
            code="out_of_memory",
            severity="error",
            why=f"{event.device} ran out of memory {format_duration(event.at_ns)} into the run: "
            f"{event.message.splitlines()[0][:200] if event.message else 'no message'}",
            evidence={"device": event.device, "at_ns": event.at_ns},
            next="smaller batches, activation checkpointing, mixed precision; the last reading "
            "and the largest holders are in the recording",
        )
    retries = [peak for peak in facts.memory_peaks if peak.retries]
    for peak in retries:
        yield Finding(
            code="allocator_retries",
            severity="warning",
            why=f"The allocator of {peak.device} had to free its cache and try again "
            f"{plural(peak.retries or 0, 'time')}: each one synchronizes the device.",
            evidence={
                "device": peak.device,
                "retries": peak.retries,
                "reserved_peak_bytes": peak.reserved_peak_bytes,
            },
            next="smaller batches, or PYTORCH_ALLOC_CONF=expandable_segments:True against "
            "fragmentation",
        )


def _named(device: Device, count: int) -> str:
    """The device that shows it most, and how many others do."""
    others = f" (and {plural(count - 1, 'other')})" if count > 1 else ""
    return f"GPU {device.index}{others}"


def _loading_share(facts: Facts) -> float | None:
    """Of the traced steps' wall time, that in which only the data loader did something."""
    sums = facts.step_classes
    whole_ns = sum(sums.mean_ns.values()) if sums is not None else 0
    return sums.mean_ns["dataloader"] / whole_ns if sums is not None and whole_ns else None


def _means(facts: Facts) -> Iterator[tuple[Device, DeviceSample]]:
    """The used devices that have readings, with the mean of those."""
    for device in facts.used_devices:
        sample = facts.device_means.get(device.id)
        if sample is not None:
            yield device, sample
