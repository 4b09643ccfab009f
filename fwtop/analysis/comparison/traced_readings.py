"""What the trace windows of one run tell beside its work: devices, FLOPs, steps by class, input.

Figures are those of the run's summary, per traced step; formulas: `fwtop.analysis.device_figures`,
`fwtop.analysis.device_use`, `fwtop.analysis.breakdown`, `fwtop.analysis.input_stages`.
"""

from __future__ import annotations

from collections.abc import Iterator

from fwtop.analysis.comparison.facts import RunFacts
from fwtop.analysis.comparison.reading import HIGHER, LOWER, NEITHER, Reading
from fwtop.analysis.device_use import ENOUGH_COVERAGE
from fwtop.recording.window_model import STEP_CLASSES

MOST_STAGES = 64
"""Of an input pipeline, those with most time of their own; no pipeline has as many."""


def traced_readings(run: RunFacts) -> Iterator[Reading]:
    """What the windows do not tell has no value."""
    yield from _device_time(run)
    yield from _launches(run)
    yield from _flops(run)
    yield from _classes(run)
    yield from _stages(run)


def _device_time(run: RunFacts) -> Iterator[Reading]:
    kernels = run.summary.kernels
    for metric, label, unit, better, value in (
        ("kernels.busy", "device busy", "ratio", HIGHER, kernels.busy_ratio),
        ("kernels.utilization", "kernels running", "ratio", HIGHER, kernels.utilization_ratio),
        ("kernels.sm_efficiency", "SM efficiency", "ratio", HIGHER, kernels.sm_efficiency_ratio),
        ("kernels.occupancy", "achieved occupancy", "ratio", HIGHER, kernels.occupancy_ratio),
        ("kernels.tensor_cores", "kernel time on tensor cores", "ratio", HIGHER,
         kernels.tensor_core_ratio),
        ("kernels.overlap", "communication overlapped", "ratio", HIGHER, kernels.overlap_ratio),
        ("kernels.host_wait", "waits for the host, a step", "ns", LOWER, kernels.host_wait_ns),
        ("kernels.kernel_wait", "waits between kernels, a step", "ns", LOWER,
         kernels.kernel_wait_ns),
    ):  # fmt: skip
        yield Reading(metric, "kernels", label, unit, better, value)


def _launches(run: RunFacts) -> Iterator[Reading]:
    """A long queue is no fault: it keeps the device busy, and makes launches wait."""
    kernels = run.summary.kernels
    for metric, label, unit, value in (
        ("kernels.launches", "launches a step", "count", kernels.launches),
        ("kernels.queue_max", "launched and waiting, at most", "count", kernels.queue_max),
        ("kernels.launch_delay", "median launch delay", "ns", kernels.launch_delay_median_ns),
        ("kernels.launch_delay.mean", "mean launch delay", "ns", kernels.launch_delay_mean_ns),
        ("kernels.launch_delay.p95", "launch delay, 95th percentile", "ns",
         kernels.launch_delay_p95_ns),
    ):  # fmt: skip
        yield Reading(metric, "kernels", label, unit, NEITHER, value)


def _flops(run: RunFacts) -> Iterator[Reading]:
    """Not where much of the work tells none: a compiled graph's would look like less work."""
    flops = run.summary.flops
    if flops.coverage_ratio is not None and flops.coverage_ratio < ENOUGH_COVERAGE:
        return
    for metric, label, unit, better, value in (
        ("mfu", "model FLOPs utilisation", "ratio", HIGHER, flops.mfu_ratio),
        ("flops", "FLOPs a step", "flops", NEITHER, flops.step_flops),
        ("flops.rate", "achieved FLOP rate", "flops_per_s", HIGHER, flops.flops_per_s),
    ):
        yield Reading(metric, "kernels", label, unit, better, value)


def _classes(run: RunFacts) -> Iterator[Reading]:
    known = run.summary.step_breakdown.mean_ns
    for name in STEP_CLASSES:
        label = name.replace("_", " ")
        yield Reading(f"step_class[{name}]", "classes", label, "ns", LOWER, known.get(name))


def _stages(run: RunFacts) -> Iterator[Reading]:
    rows = run.summary.input_pipeline.rows
    kept = sorted(rows, key=lambda row: -row.self_ns)[:MOST_STAGES]
    for row in (row for row in rows if row in kept):
        yield Reading(f"input_stage[{row.path}]", "input", row.path, "ns", LOWER, row.self_ns)
