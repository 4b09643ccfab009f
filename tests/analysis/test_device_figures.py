from __future__ import annotations

import pytest

from fwtop.analysis.device_figures import MOST, efficiency, of_devices, sm_busy_ns
from fwtop.analysis.results import DeviceFigures, KernelEfficiency
from fwtop.analysis.sketch import Sketch
from fwtop.analysis.temporal import Launch
from fwtop.analysis.tensor_cores import uses_tensor_cores, uses_tf32
from fwtop.analysis.window import figures
from fwtop.traces.kineto import read
from fwtop.traces.model import DeviceEvent, TraceWindow
from tests.shared_traces import DIFF_CONTROL, NCCL, RESNET50, shared_trace


def kernel(
    start: int, end: int, blocks: float | None = None, occupancy: float | None = None,
    *, name: str = "k", device: int = 0, stream: int = 7, correlation: int = 0,
) -> DeviceEvent:  # fmt: skip
    return DeviceEvent(
        "kernel", name, start, end - start, device, stream, correlation,
        blocks_per_sm=blocks, occupancy_ratio=occupancy,
    )  # fmt: skip


def test_the_figures_of_tensorboard_for_resnet50() -> None:
    (device,) = figures(read(shared_trace(RESNET50)), []).devices
    assert device.sm_busy_ns is not None
    assert device.occupied_ns is not None
    assert round(100 * device.busy_ns / device.span_ns, 2) == 55.51
    assert round(100 * device.sm_busy_ns / device.span_ns, 2) == 54.68
    assert round(100 * device.occupied_ns / device.measured_ns, 2) == 49.13
    assert device.tensor_core_ns == 0  # trained in float32


def test_step_breakdowns_are_in_the_window_s_figures() -> None:
    found = figures(read(shared_trace(RESNET50)), []).step_breakdowns
    assert [step.step_index for step in found] == [5, 6, 7, 8, 9, 10]
    five = found[0]
    assert (five.kernel_ns, five.memcpy_ns, five.memset_ns) == (98_598_000, 1_941_000, 90_000)
    assert (five.communication_ns, five.runtime_ns) == (0, 2_796_000)
    assert (five.dataloader_ns, five.cpu_op_ns, five.other_ns) == (
        69_317_000,
        14_091_000,
        1_115_000,
    )


@pytest.mark.parametrize("name", [RESNET50, DIFF_CONTROL, NCCL])
def test_shares_of_real_traces_are_shares(name: str) -> None:
    result = figures(read(shared_trace(name)), [])
    for device in result.devices:
        assert device.sm_busy_ns is not None
        assert device.occupied_ns is not None
        assert device.tensor_core_ns is not None
        assert 0 < device.sm_busy_ns <= device.busy_ns <= device.span_ns
        assert 0 < device.occupied_ns < device.measured_ns == device.kernel_ns
        assert device.tensor_core_ns < device.kernel_ns
        assert Sketch.from_bytes(device.launch_delays).count == device.launches > 0
    total_ns = {row.name: 0 for row in result.kernels}
    for row in result.kernels:
        total_ns[row.name] += row.total_ns
    for kernel_row in result.kernel_efficiency:
        assert kernel_row.sm_busy_ns is not None
        assert kernel_row.occupied_ns is not None
        assert kernel_row.measured_ns == total_ns[kernel_row.name]
        assert max(kernel_row.sm_busy_ns, kernel_row.occupied_ns) <= kernel_row.measured_ns


def test_multiprocessors_are_busy_with_what_runs_at_once() -> None:
    at_once = [kernel(0, 10, 0.5), kernel(5, 15, 0.25), kernel(20, 30, 4.0), kernel(40, 50, None)]
    assert sm_busy_ns(at_once, (0, 100)) == 5 * 0.5 + 5 * 0.75 + 5 * 0.25 + 10
    assert sm_busy_ns(at_once, (5, 25)) == 5 * 0.75 + 5 * 0.25 + 5
    assert sm_busy_ns([kernel(0, 10, None), kernel(0, 10, 0.0)], (0, 100)) is None


def test_a_device_s_figures_are_cut_to_the_steps() -> None:
    events = [
        kernel(0, 10, 1.0, 0.5, name="volta_fp16_s884gemm", correlation=1),
        kernel(20, 40, 1.0, 1.0, correlation=2),
        kernel(25, 30, None, None, stream=9, correlation=3),
        DeviceEvent("memcpy", "Memcpy HtoD", 30, 30, stream=7, correlation=4),
        kernel(5, 6, device=1),
    ]
    launches = {n: Launch(n, n, n + 1) for n in (1, 2, 3, 4)}
    zero, one = of_devices(events, launches, (5, 35))
    delays = Sketch()
    delays.add_many([0, 17, 21, 25])
    assert zero == DeviceFigures(
        device=0, span_ns=30, busy_ns=20, kernel_ns=25, measured_ns=20, sm_busy_ns=20.0,
        occupied_ns=17.5, tensor_core_ns=5, launches=4, launch_delay_sum_ns=63,
        launch_delays=delays.to_bytes(), queue_max=2,
    )  # fmt: skip
    assert (one.device, one.busy_ns, one.sm_busy_ns, one.occupied_ns) == (1, 1, None, None)
    assert (one.launches, one.queue_max) == (0, None)


def test_without_steps_a_device_s_own_events_bound_it() -> None:
    (device,) = of_devices([kernel(10, 20), kernel(90, 100)], {}, None)
    assert (device.span_ns, device.busy_ns) == (90, 20)


def test_a_device_that_only_copied_tells_of_no_tensor_cores() -> None:
    (device,) = of_devices([DeviceEvent("memcpy", "Memcpy HtoD", 0, 10)], {}, None)
    assert (device.busy_ns, device.tensor_core_ns) == (0, None)


def test_sums_stay_within_what_a_recording_holds() -> None:
    far = 4_000_000_000_000_000_000
    events = [kernel(far, far + 1, correlation=1) for _ in range(4)]
    (device,) = of_devices(events, {1: Launch(1, 0, 1)}, None)
    assert device.launch_delay_sum_ns == MOST


def test_efficiency_of_a_kernel_is_over_the_calls_that_tell() -> None:
    events = [
        kernel(0, 10, 2.0, 0.5), kernel(10, 20, 0.5, 0.1), kernel(20, 30),
        kernel(0, 8, 0.25, name="blocks"), kernel(0, 8, name="silent"),
        DeviceEvent("memcpy", "copy", 0, 10, blocks_per_sm=1.0),
    ]  # fmt: skip
    assert efficiency(events) == [
        KernelEfficiency("k", 20, 15.0, 6.0), KernelEfficiency("blocks", 8, 2.0, None),
    ]  # fmt: skip


def test_nothing_on_a_device_is_nothing_known() -> None:
    result = figures(TraceWindow(0), [])
    assert (result.devices, result.kernel_efficiency, result.step_breakdowns) == ((), (), ())


@pytest.mark.parametrize(
    ("name", "tensor_cores", "tf32"),
    [
        ("volta_fp16_s884gemm_fp16_128x64_ldg8_f2f_nn", True, False),
        ("ampere_bf16_s16816gemm_bf16_128x128_ldg8_f2f_stages_32x5_tn", True, False),
        ("cutlass_80_tensorop_s1688gemm_128x128_16x5_nn_align4", True, True),
        ("sm80_xmma_gemm_f32f32_tf32f32_f32_nn_n_tilesize64x64x16_stage4", True, True),
        ("cutlass_80_wmma_tensorop_f16_s161616gemm_f16_32x32_32x1_nn_align8", True, False),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTT", True, False),
        ("void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64>>", True, False),
        ("fmha_cutlassF_f32_aligned_64x64_rf_sm80", False, False),
        ("Cijk_Ailk_Bljk_HHS_BH_MT128x128x32_MI32x32x8x1_SN", True, False),
        (
            "sm80_xmma_fprop_implicit_gemm_f16f16_f16f32_f32_nhwckrsc_nhwc_tilesize128x128",
            True,
            False,
        ),
        ("sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize32x32x8_stage3_ffma", False, False),
        ("volta_sgemm_128x64_nn", False, False),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::AddFunctor>", False, False),
    ],
)
def test_tensor_cores_by_name(name: str, tensor_cores: bool, tf32: bool) -> None:
    assert (uses_tensor_cores(name), uses_tf32(name)) == (tensor_cores, tf32)
