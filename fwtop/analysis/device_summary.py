"""What a Summary says of the devices, from the facts of a run. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.analysis.finders.facts import Facts
from fwtop.analysis.summary_model import (
    FlopsSummary,
    KernelsSummary,
    KernelSummary,
    StepBreakdownSummary,
)
from fwtop.analysis.tensor_cores import uses_tensor_cores
from fwtop.recording.window_model import KernelRow, Window


def kernels(facts: Facts) -> KernelsSummary:
    """Kernels, and where the devices' time went, per traced step."""
    told = [window for window in facts.windows if window.span_ns and window.busy_ns is not None]
    per = max(1, sum(window.step_count for window in told))
    span_ns = sum(window.span_ns or 0 for window in told)
    busy = sum(window.busy_ns or 0 for window in told) / span_ns if span_ns else None
    communication_ns = sum(window.communication_ns or 0 for window in told)
    overlap_ns = sum(window.overlap_ns or 0 for window in told)
    use = facts.device_use
    return KernelsSummary(
        rows=tuple(_kernel(row, per) for row in facts.kernels),
        busy_ratio=busy,
        idle_ratio=None if busy is None else 1 - busy,
        overlap_ratio=overlap_ns / communication_ns if communication_ns else None,
        host_wait_ns=_mean(told, "host_wait_ns", per),
        kernel_wait_ns=_mean(told, "kernel_wait_ns", per),
        other_wait_ns=_mean(told, "other_wait_ns", per),
        compute_ns=_mean(told, "compute_ns", per),
        communication_ns=_mean(told, "communication_ns", per),
        overlapped_ns=_mean(told, "overlap_ns", per),
        utilization_ratio=use.utilization_ratio if use else None,
        sm_efficiency_ratio=use.sm_efficiency_ratio if use else None,
        occupancy_ratio=use.occupancy_ratio if use else None,
        tensor_core_ratio=use.tensor_core_ratio if use else None,
        launches=round(use.launches / per, 3) if use else None,
        queue_max=use.queue_max if use else None,
        launch_delay_mean_ns=_rounded(use.launch_delay_mean_ns) if use else None,
        launch_delay_median_ns=use.launch_delay_median_ns if use else None,
        launch_delay_p95_ns=use.launch_delay_p95_ns if use else None,
    )


def _kernel(row: KernelRow, steps_traced: int) -> KernelSummary:
    return KernelSummary(
        name=row.name,
        family=row.family,
        calls=round(row.calls / steps_traced, 3),
        total_ns=round(row.total_ns / steps_traced, 1),
        sm_efficiency_ratio=row.sm_efficiency_ratio,
        occupancy_ratio=row.occupancy_ratio,
        tensor_cores=uses_tensor_cores(row.name),
    )


def step_breakdown(facts: Facts) -> StepBreakdownSummary:
    """The traced steps' wall time by class."""
    sums = facts.step_classes
    if sums is None:
        return StepBreakdownSummary(0, {})
    return StepBreakdownSummary(
        sums.steps, {name: round(mean_ns, 1) for name, mean_ns in sums.mean_ns.items()}
    )


def flops(facts: Facts) -> FlopsSummary:
    """Floating point operations a step, and their share of the peak."""
    use = facts.flops
    if use is None:
        return FlopsSummary(0, None, {}, None, None, None, None)
    return FlopsSummary(
        steps=use.steps,
        step_flops=use.step_flops,
        dtypes=use.dtypes,
        coverage_ratio=use.coverage_ratio,
        flops_per_s=use.flops_per_s,
        peak_flops_per_s=use.peak_flops_per_s,
        mfu_ratio=use.mfu_ratio,
    )


def _mean(windows: Sequence[Window], name: str, steps_traced: int) -> float | None:
    known = [value for window in windows if (value := getattr(window, name)) is not None]
    return round(sum(known) / steps_traced, 1) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
