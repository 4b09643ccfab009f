"""The single figures of several runs side by side: which there are, and each one's change.

The metrics' names here are those of `--fail-on`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from fwtop.analysis.bootstrap import quantile
from fwtop.analysis.comparison_facts import RunFacts
from fwtop.analysis.comparison_model import SECTIONS, Change, ComparedFigure
from fwtop.analysis.comparison_noise import inverse, plain_change, sampled_change, tolerance
from fwtop.analysis.comparison_steps import run_median, sample_change, step_change, time_a_sample
from fwtop.analysis.finders.devices import NO_THROTTLE
from fwtop.analysis.significance import Estimate, false_discoveries
from fwtop.recording.model import PHASES, Device, DeviceSample

LOWER, HIGHER, NEITHER = "lower", "higher", "neither"


@dataclass(frozen=True)
class Reading:
    """One figure of one run."""

    metric: str
    section: str
    label: str
    unit: str
    better: str
    value: float | None
    estimate: Estimate | None = None
    """With its error, where the run itself tells how far it varies: of steps' times and rates."""


def compare_figures(runs: Sequence[RunFacts]) -> tuple[ComparedFigure, ...]:
    """All figures that any run knows, by section."""
    found: dict[str, list[Reading | None]] = {}
    for place, run in enumerate(runs):
        for reading in readings(run):
            if reading.value is not None and isfinite(reading.value):
                row = found.setdefault(reading.metric, [None] * len(runs))
                row[place] = reading
    order = {metric: place for place, metric in enumerate(found)}
    rows = [_compared(row, runs) for row in found.values()]
    rows = _judged_together(rows, [row for row in rows if row.section == "phases"])
    rows.sort(key=lambda row: (SECTIONS.index(row.section), _place(row, order)))
    return tuple(rows)


def readings(run: RunFacts) -> Iterator[Reading]:
    """Every figure of a run; what it does not know has no value."""
    yield from _steps(run)
    yield from _phases(run)
    yield from _throughput(run)
    yield from _compile(run)
    yield from _memory(run)
    yield from _kernels(run)
    yield from _devices(run)
    yield from _host(run)


def _steps(run: RunFacts) -> Iterator[Reading]:
    steps, apart = run.facts.steps, run.apart
    first = run.facts.first_step
    resampled = run.resampled
    middle, late = run_median(run), resampled.quantile(0.95)
    yield _step("step_time", "median step", quantile(run.durations, 0.5), middle)
    yield _step("step_time.mean", "mean step", steps.mean_ns, _about(run, steps.mean_ns))
    yield _step("step_time.p95", "95th percentile", quantile(run.durations, 0.95), late)
    by_sample = time_a_sample(run)
    size = run.samples_per_step
    yield _step(
        "sample_time",
        "median a sample",
        by_sample.value if by_sample else None,
        by_sample,
    )
    yield Reading("samples_per_step", "steps", "samples a step", "count", NEITHER, size)
    yield _step("step_time.first", "warm-up (first step)", first.duration_ns if first else None)
    yield _step(
        "step_time.traced",
        "mean traced step",
        apart.traced_ns / apart.traced_count if apart.traced_count else None,
    )
    yield Reading("steps", "steps", "steps", "count", NEITHER, steps.count)
    yield Reading("duration", "steps", "duration of the run", "ns", NEITHER, run.facts.duration_ns)


def _phases(run: RunFacts) -> Iterator[Reading]:
    known = run.facts.steps.phases_ns
    for phase in PHASES:
        mean_ns = known.get(phase)
        estimate = None
        if mean_ns is not None:
            estimate = _about(run, mean_ns, run.phase(phase))
        yield Reading(f"phase[{phase}]", "phases", phase, "ns", LOWER, mean_ns, estimate)


def _throughput(run: RunFacts) -> Iterator[Reading]:
    steps = run.facts.steps
    error = _relative_error(run)
    for metric, label, value in (
        ("throughput.samples", "samples a second", steps.samples_per_s),
        ("throughput.steps", "steps a second", steps.steps_per_s),
    ):
        estimate = None
        if value is not None and error is not None:
            estimate = Estimate(value, value * error.error, error.freedom)
        yield Reading(metric, "throughput", label, "per_s", HIGHER, value, estimate)


def _compile(run: RunFacts) -> Iterator[Reading]:
    totals = run.facts.compile
    if run.facts.process is None:
        return
    for metric, label, value, better in (
        ("compile.count", "compiles", totals.count, LOWER),
        ("compile.recompiles", "recompiles", totals.recompiles, LOWER),
        ("compile.graph_breaks", "graph breaks", totals.graph_breaks, LOWER),
        ("compile.retraces", "retraces", totals.retraces, LOWER),
        ("compile.cache_hits", "cache hits", totals.cache_hits, HIGHER),
        ("compile.cache_misses", "cache misses", totals.cache_misses, LOWER),
        ("compile.cache_bypasses", "cache bypasses", totals.cache_bypasses, LOWER),
    ):
        yield Reading(metric, "compile", label, "count", better, value)
    yield Reading("compile.time", "compile", "compile time", "ns", LOWER, totals.total_ns)
    yield Reading(
        "compile.steps_time",
        "compile",
        "in steps after the first that compiled",
        "ns",
        LOWER,
        run.apart.compiled_ns,
    )


def _memory(run: RunFacts) -> Iterator[Reading]:
    memory = run.summary.memory
    for metric, label, value in (
        ("memory.peak", "allocated at most", memory.allocated_peak_bytes),
        ("memory.reserved_peak", "reserved at most", memory.reserved_peak_bytes),
        ("memory.rss", "host memory at most", run.peak_rss_bytes),
    ):
        yield Reading(metric, "memory", label, "bytes", LOWER, value)


def _kernels(run: RunFacts) -> Iterator[Reading]:
    kernels = run.summary.kernels
    for metric, label, unit, better, value in (
        ("kernels.busy", "device busy", "ratio", HIGHER, kernels.busy_ratio),
        ("kernels.overlap", "communication overlapped", "ratio", HIGHER, kernels.overlap_ratio),
        ("kernels.host_wait", "waits for the host, a step", "ns", LOWER, kernels.host_wait_ns),
        ("kernels.kernel_wait", "waits between kernels, a step", "ns", LOWER,
         kernels.kernel_wait_ns),
    ):  # fmt: skip
        yield Reading(metric, "kernels", label, unit, better, value)


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


def _host(run: RunFacts) -> Iterator[Reading]:
    host, facts = run.facts.host, run.facts
    governor = facts.governor
    for metric, label, unit, better, value in (
        ("host.cpu", "CPU of all cores", "ratio", NEITHER, host.cpu_ratio if host else None),
        ("host.run_cpu", "cores that the run held", "count", NEITHER,
         host.run_cpu_ratio if host else None),
        ("host.contention", "cores held by others, none free", "ratio", LOWER,
         run.contention_ratio),
        ("host.memory", "memory used", "bytes", LOWER, host.memory_used_bytes if host else None),
        ("overhead", "fwtop's own cost", "ratio", NEITHER,
         governor.measured_ratio if governor else None),
    ):  # fmt: skip
        yield Reading(metric, "host", label, unit, better, value)


def _step(
    metric: str, label: str, value: float | None, estimate: Estimate | None = None
) -> Reading:
    return Reading(metric, "steps", label, "ns", LOWER, value, estimate)


def _about(
    run: RunFacts, value: float | None, series: Sequence[float] | None = None
) -> Estimate | None:
    """A mean over all steady steps, with the error that the sampled ones tell."""
    error = _relative_error(run, series)
    if value is None or error is None:
        return None
    return Estimate(value, value * error.error, error.freedom)


def _relative_error(run: RunFacts, series: Sequence[float] | None = None) -> Estimate | None:
    mean = run.resampled.mean(series)
    return Estimate(1, mean.error / mean.value, mean.freedom) if mean and mean.value > 0 else None


def _throttled(run: RunFacts, device: Device) -> float:
    """The largest share of the readings that one reason had which is not the user's own."""
    reasons = run.facts.throttled.get(device.id, {})
    return max(
        (had / told for reason, (had, told) in reasons.items()
         if told and reason not in NO_THROTTLE),
        default=0.0,
    )  # fmt: skip


def _measured(run: RunFacts) -> set[str]:
    return set(run.facts.steps.phases_ns)


def _together(values: Sequence[float], highest: bool) -> float | None:
    if not values:
        return None
    return max(values) if highest else sum(values) / len(values)


def _compared(row: Sequence[Reading | None], runs: Sequence[RunFacts]) -> ComparedFigure:
    like = next(reading for reading in row if reading is not None)
    base = row[0]
    return ComparedFigure(
        metric=like.metric,
        section=like.section,
        label=like.label,
        unit=like.unit,
        better=like.better,
        values=tuple(None if reading is None else reading.value for reading in row),
        changes=(
            None,
            *(
                None if base is None or other is None else _change(base, other, runs[0], run)
                for other, run in zip(row[1:], runs[1:], strict=True)
            ),
        ),
    )


def _change(base: Reading, other: Reading, one: RunFacts, two: RunFacts) -> Change | None:
    if base.value is None or other.value is None:
        return None
    if base.metric == "step_time":
        return step_change(one, two) or plain_change(base.value, other.value)
    if base.metric == "phase[other]" and _measured(one) != _measured(two):
        return None  # what other phases leave is of no use where they are not the same
    if base.metric == "sample_time":
        return sample_change(one, two)
    if base.estimate is None or other.estimate is None:
        return plain_change(base.value, other.value)
    tolerated = tolerance(one, two)
    if base.section == "throughput":
        tolerated = inverse(tolerated)
    return sampled_change(base.estimate, other.estimate, tolerated)


def _judged_together(
    rows: list[ComparedFigure], family: Sequence[ComparedFigure]
) -> list[ComparedFigure]:
    """Figures that answer one question (which phase was it?) stand only as so many do."""
    replaced: dict[str, ComparedFigure] = {row.metric: row for row in family}
    for place in range(1, len(family[0].changes) if family else 1):
        told = [
            (row.metric, change.p_value)
            for row in replaced.values()
            if (change := row.changes[place]) is not None and change.p_value is not None
        ]
        standing = false_discoveries([p_value for _, p_value in told])
        for (metric, _), stands in zip(told, standing, strict=True):
            row = replaced[metric]
            if not stands:
                replaced[metric] = replace(row, changes=_as_noise(row.changes, place))
    return [replaced.get(row.metric, row) for row in rows]


def _as_noise(changes: Iterable[Change | None], place: int) -> tuple[Change | None, ...]:
    return tuple(
        replace(change, noise=True) if number == place and change is not None else change
        for number, change in enumerate(changes)
    )


def _place(row: ComparedFigure, order: dict[str, int]) -> int:
    """Phases in their own order, which a run that lacks one does not show; others as they come."""
    if row.section == "phases":
        return PHASES.index(row.label)
    return order[row.metric]
