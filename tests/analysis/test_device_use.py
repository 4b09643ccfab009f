from __future__ import annotations

import pytest

from fwtop.analysis.device_use import (
    ENOUGH_COVERAGE,
    DeviceUse,
    FlopsUse,
    coverage,
    device_use,
    flops_use,
    runs_as_tf32,
)
from fwtop.analysis.sketch import Sketch
from fwtop.recording.window_model import DeviceTime, DtypeFlops, KernelRow, OperatorFlops

S = 1_000_000_000
PEAK = {"float16": 100e12, "float32": 10e12, "tf32": 50e12}


def of_device(**changes: object) -> DeviceTime:
    known: dict[str, object] = {
        "process_id": 1, "device": 0, "windows": 2, "span_ns": 1_000, "busy_ns": 800,
        "kernel_ns": 1_000, "measured_ns": 500, "sm_busy_ns": 600.0, "occupied_ns": 100.0,
        "tensor_core_ns": 250, "launches": 4, "launch_delay_sum_ns": 100, "queue_max": 3,
    }  # fmt: skip
    return DeviceTime(**{**known, **changes})  # type: ignore[arg-type]


def kernel(name: str, family: str, total_ns: int) -> KernelRow:
    return KernelRow(name, family, 1, total_ns)


def test_devices_add_up() -> None:
    delays = Sketch()
    delays.add_many([10, 30, 1_000])
    use = device_use([of_device(), of_device(device=1, busy_ns=200, queue_max=9)], delays)
    assert use == DeviceUse(
        devices=2, utilization_ratio=0.5, sm_efficiency_ratio=0.6, occupancy_ratio=0.2,
        tensor_core_ratio=0.25, launches=8, queue_max=9, launch_delay_mean_ns=25.0,
        launch_delay_median_ns=30, launch_delay_p95_ns=30,
    )  # fmt: skip


def test_what_no_trace_tells_is_unknown() -> None:
    assert device_use([], Sketch()) is None
    use = device_use(
        [of_device(measured_ns=0, sm_busy_ns=None, occupied_ns=None, tensor_core_ns=None,
                   launches=0, queue_max=None)],
        Sketch(),
    )  # fmt: skip
    assert use is not None
    assert use.utilization_ratio == 0.8
    assert (use.sm_efficiency_ratio, use.occupancy_ratio, use.tensor_core_ratio) == (None,) * 3
    assert (use.queue_max, use.launch_delay_mean_ns, use.launch_delay_median_ns) == (None,) * 3


def test_a_device_that_does_not_tell_leaves_the_ratio_of_the_others() -> None:
    use = device_use([of_device(), of_device(device=1, sm_busy_ns=None)], Sketch())
    assert use is not None
    assert use.sm_efficiency_ratio == 0.6


def test_mfu_is_the_rate_over_the_peak() -> None:
    use = flops_use([DtypeFlops("float16", 80 * 10**12)], 2, S, 1.0, PEAK)
    assert use == FlopsUse(
        steps=2, step_flops=40e12, dtypes={"float16": 40e12}, coverage_ratio=1.0,
        flops_per_s=40e12, peak_flops_per_s=100e12, mfu_ratio=0.4,
    )  # fmt: skip
    spread = flops_use([DtypeFlops("float16", 80 * 10**12)], 2, S, 1.0, PEAK, devices=4)
    assert spread is not None
    assert spread.mfu_ratio == pytest.approx(0.1)


def test_the_peak_of_several_dtypes_is_where_the_least_times_add_up() -> None:
    rows = [DtypeFlops("float16", 10**13), DtypeFlops("float32", 10**12)]
    use = flops_use(rows, 1, S, 1.0, PEAK)
    assert use is not None
    assert use.mfu_ratio == pytest.approx(0.1 + 0.1)
    use = flops_use(rows, 1, S, 1.0, PEAK, tf32=True)
    assert use is not None
    assert use.mfu_ratio == pytest.approx(0.1 + 0.02)


@pytest.mark.parametrize(
    ("dtype", "step_ns", "share", "peak"),
    [
        ("", S, 1.0, PEAK),
        ("float64", S, 1.0, PEAK),
        ("float16", None, 1.0, PEAK),
        ("float16", S, None, PEAK),
        ("float16", S, ENOUGH_COVERAGE - 0.01, PEAK),
        ("float16", S, 1.0, None),
    ],
)
def test_without_all_that_it_needs_mfu_is_unknown(
    dtype: str, step_ns: float | None, share: float | None, peak: dict[str, float] | None
) -> None:
    use = flops_use([DtypeFlops(dtype, 10**12)], 1, step_ns, share, peak)
    assert use is not None
    assert use.mfu_ratio is None
    assert use.step_flops == 10**12


def test_without_shapes_flops_are_unknown() -> None:
    assert flops_use([], 3, S, 1.0, PEAK) is None
    assert flops_use([DtypeFlops("float16", 1)], 0, S, 1.0, PEAK) is None


def test_coverage_is_of_the_products_time() -> None:
    kernels = [
        kernel("gemm", "matmul", 60), kernel("conv", "convolution", 30),
        kernel("flash", "attention", 10), kernel("relu", "elementwise", 1_000),
    ]  # fmt: skip
    known = [
        OperatorFlops("aten::mm", "forward", 1, 1, 500, 45),
        OperatorFlops("aten::bmm", "forward", 1, 1, 500, None),
    ]
    assert coverage(kernels, known) == 0.45
    assert coverage(kernels[3:], known) is None
    assert coverage(kernels[:1], [OperatorFlops("aten::mm", "forward", 1, 1, 5, 70)]) == 1.0


def test_float32_runs_as_tf32_where_most_of_its_time_says_so() -> None:
    tf32 = kernel("cutlass_80_tensorop_s1688gemm_128x128", "matmul", 60)
    half = kernel("ampere_fp16_s16816gemm_fp16_128x128", "matmul", 900)
    assert runs_as_tf32([tf32, half, kernel("ampere_sgemm_128x64_tn", "matmul", 10)])
    assert not runs_as_tf32([tf32, half, kernel("ampere_sgemm_128x64_tn", "matmul", 70)])
    assert not runs_as_tf32([half, kernel("relu", "elementwise", 5)])
