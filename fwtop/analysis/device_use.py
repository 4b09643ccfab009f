"""How well a run used its devices, as ratios: from sums over windows. Pure functions.

Formulas of the sums: `fwtop.analysis.device_figures`, `fwtop.analysis.flops`. MFU is that of PaLM
(Chowdhery et al. 2022, appendix B): FLOPs of a step / (its time x the device's peak), with one
difference: what activation checkpointing computes again is counted. With inputs of several dtypes
the peak is the one at which their work would take the sum of the least times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fwtop.analysis.sketch import Sketch
from fwtop.analysis.tensor_cores import uses_tensor_cores, uses_tf32
from fwtop.recording.window_model import DeviceTime, DtypeFlops, KernelRow, OperatorFlops

PRODUCTS = frozenset({"matmul", "convolution", "attention"})
"""Families whose work is multiplying matrices: what tensor cores are for, and most FLOPs."""
ENOUGH_COVERAGE = 0.9
"""With less of the products' time accounted for by known FLOPs, a share of the peak would be a
guess."""


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """All devices of a run in its traced steps. A ratio that nothing tells is None."""

    devices: int
    utilization_ratio: float | None
    """Of the time, some kernel ran."""
    sm_efficiency_ratio: float | None
    """Of the multiprocessors' time, they had a block."""
    occupancy_ratio: float | None
    """Of the kernels' time: the mean of their estimated achieved occupancy."""
    tensor_core_ratio: float | None
    """Of the kernels' time, that of kernels which use tensor cores."""
    launches: int
    queue_max: int | None
    launch_delay_mean_ns: float | None
    launch_delay_median_ns: int | None
    launch_delay_p95_ns: int | None


@dataclass(frozen=True, slots=True)
class FlopsUse:
    """Floating point operations of a step in one process, and what they are of the peak."""

    steps: int
    """Traced steps that they are of."""
    step_flops: float
    dtypes: Mapping[str, float]
    """Of `step_flops`, by the dtype of the inputs; "" for unknown, `tf32` for float32 as TF32."""
    coverage_ratio: float | None
    """Of the device time of matmul, convolution and attention, that of operators with FLOPs."""
    flops_per_s: float | None
    """Over the steady steps' mean time."""
    peak_flops_per_s: float | None
    mfu_ratio: float | None
    """None unless device, dtypes, step time and nearly all products are known."""


def device_use(rows: Sequence[DeviceTime], delays: Sketch) -> DeviceUse | None:
    """The ratios of summed figures; None where nothing ran on a device."""
    if not rows:
        return None
    launches = sum(row.launches for row in rows)
    return DeviceUse(
        devices=len(rows),
        utilization_ratio=_ratio((row.busy_ns, row.span_ns) for row in rows),
        sm_efficiency_ratio=_ratio((row.sm_busy_ns, row.span_ns) for row in rows),
        occupancy_ratio=_ratio((row.occupied_ns, row.measured_ns) for row in rows),
        tensor_core_ratio=_ratio((row.tensor_core_ns, row.kernel_ns) for row in rows),
        launches=launches,
        queue_max=max((r.queue_max for r in rows if r.queue_max is not None), default=None),
        launch_delay_mean_ns=sum(row.launch_delay_sum_ns for row in rows) / launches
        if launches
        else None,
        launch_delay_median_ns=delays.quantile(0.5),
        launch_delay_p95_ns=delays.quantile(0.95),
    )


def flops_use(
    by_dtype: Sequence[DtypeFlops],
    steps: int,
    step_ns: float | None,
    coverage_ratio: float | None,
    peak_flops_per_s: Mapping[str, float] | None,
    *,
    devices: int = 1,
    tf32: bool = False,
) -> FlopsUse | None:
    """A process's FLOPs; None where no shapes tell any.

    `by_dtype` are sums over `steps`; `peak_flops_per_s` is one device's, by dtype; `devices` are
    those of one process; `tf32` says that products of float32 run as TF32.
    """
    whole = sum(row.flops for row in by_dtype)
    if not whole or not steps:
        return None
    dtypes = {
        "tf32" if tf32 and row.dtype == "float32" else row.dtype: row.flops / steps
        for row in by_dtype
    }
    peak = _peak(dtypes, peak_flops_per_s or {}, devices)
    rate = whole / steps / step_ns * 1e9 if step_ns else None
    enough = coverage_ratio is not None and coverage_ratio >= ENOUGH_COVERAGE
    return FlopsUse(
        steps=steps,
        step_flops=whole / steps,
        dtypes=dtypes,
        coverage_ratio=coverage_ratio,
        flops_per_s=rate,
        peak_flops_per_s=peak,
        mfu_ratio=rate / peak if enough and rate is not None and peak else None,
    )


def coverage(kernels: Sequence[KernelRow], operators: Sequence[OperatorFlops]) -> float | None:
    """Of the products' device time, that of operators whose FLOPs are known, at most 1.

    None where no product ran on a device. Both must be of the same windows.
    """
    products_ns = sum(row.total_ns for row in kernels if row.family in PRODUCTS)
    known_ns = sum(row.device_ns or 0 for row in operators)
    return min(1.0, known_ns / products_ns) if products_ns else None


def runs_as_tf32(kernels: Sequence[KernelRow]) -> bool:
    """Whether float32 is multiplied as TF32, by the kernels' names: most of the time of products
    that is not another dtype's on tensor cores.
    """
    products = [row for row in kernels if row.family in PRODUCTS]
    as_tf32 = sum(row.total_ns for row in products if uses_tf32(row.name))
    without = sum(row.total_ns for row in products if not uses_tensor_cores(row.name))
    return as_tf32 > without


def _peak(
    dtypes: Mapping[str, float], peak_flops_per_s: Mapping[str, float], devices: int
) -> float | None:
    if any(dtype not in peak_flops_per_s for dtype in dtypes):
        return None
    least_s = sum(flops / (devices * peak_flops_per_s[dtype]) for dtype, flops in dtypes.items())
    return sum(dtypes.values()) / least_s if least_s else None


def _ratio(parts: Iterable[tuple[float | None, int]]) -> float | None:
    """The sum of parts over the sum of wholes, of those whose part is known; at most 1."""
    known = [(part, whole) for part, whole in parts if part is not None]
    whole = sum(whole for _, whole in known)
    return min(1.0, sum(part for part, _ in known) / whole) if whole else None
