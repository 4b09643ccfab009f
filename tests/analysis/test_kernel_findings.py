"""Findings of the trace windows' kernels, at their edges and on real traces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.device_use import DeviceUse, FlopsUse
from fwtop.analysis.finders import kernels
from fwtop.analysis.finders.facts import Facts
from fwtop.analysis.findings import Finding, find
from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find as find_traces
from fwtop.recording.store import open_recording
from fwtop.recording.window_model import KernelRow, StepClassSums
from fwtop.summary import gather
from tests.recordings import build
from tests.shared_traces import DIFF_CONTROL, NCCL, RESNET50, shared_trace

MS = 1_000_000
OF_KERNELS = {
    "launch_bound", "small_kernels", "low_occupancy", "tensor_cores_unused",
    "communication_exposed",
}  # fmt: skip


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    path = build(
        tmp_path_factory.mktemp("kernels") / "run.fwtop", steps=300, compiles=0, graph_breaks=0
    )
    with open_recording(path) as recording:
        return gather(recording)


def of_trace(folder: Path, name: str) -> dict[str, Finding]:
    import_traces(find_traces([shared_trace(name)]), folder / "run.fwtop")
    with open_recording(folder / "run.fwtop") as recording:
        return {finding.code: finding for finding in find(gather(recording))}


def codes(facts: Facts) -> set[str]:
    return {finding.code for finding in find(facts)} & OF_KERNELS


def one(facts: Facts, code: str) -> Finding:
    (found,) = [finding for finding in find(facts) if finding.code == code]
    assert found.why.endswith(".")
    assert found.next
    return found


def with_use(facts: Facts, **changes: Any) -> Facts:
    assert facts.device_use is not None
    use: DeviceUse = replace(facts.device_use, **changes)
    return replace(facts, device_use=use)


def row(name: str, family: str, ms: int, filled: float = 1.0, occupied: float = 1.0) -> KernelRow:
    return KernelRow(name, family, 10, ms * MS, ms * MS, filled * ms * MS, occupied * ms * MS)


def waiting(facts: Facts, share: float) -> Facts:
    windows = [
        replace(w, host_wait_ns=int((w.span_ns or 0) * share),
                busy_ns=int((w.span_ns or 0) * (0.99 - share)))
        for w in facts.windows
    ]  # fmt: skip
    return replace(facts, windows=tuple(windows))


def test_a_healthy_run_has_none(healthy: Facts) -> None:
    assert healthy.device_use is not None
    assert healthy.kernels
    assert codes(healthy) == set()


def test_nothing_is_found_where_nothing_is_known(healthy: Facts) -> None:
    bare = replace(healthy, kernels=(), device_use=None, step_classes=None, windows=())
    assert codes(bare) == set()
    silent = tuple(replace(k, measured_ns=None, sm_busy_ns=None, occupied_ns=None)
                   for k in healthy.kernels)  # fmt: skip
    assert codes(replace(healthy, kernels=silent)) == set()


def test_launch_bound_takes_the_place_of_an_idle_gpu(healthy: Facts) -> None:
    waits = waiting(healthy, 0.3)
    assert {f.code for f in find(waits)} >= {"gpu_idle"}
    short = with_use(waits, launch_delay_median_ns=kernels.LAUNCH_BOUND_DELAY_NS)
    found = one(short, "launch_bound")
    assert "gpu_idle" not in {f.code for f in find(short)}
    assert found.evidence["host_wait_ratio"] == pytest.approx(0.3)
    assert found.evidence["launches"] == 420
    assert "launch_bound" not in codes(with_use(waits, launch_delay_median_ns=20_001))
    assert "launch_bound" not in codes(with_use(waits, launch_delay_median_ns=None))
    assert "launch_bound" not in codes(with_use(waiting(healthy, 0.15), launch_delay_median_ns=9))


def test_an_idle_gpu_beside_a_busy_data_loader(healthy: Facts) -> None:
    waits = waiting(healthy, 0.3)
    assert "data loader" not in one(waits, "gpu_idle").why
    loads = replace(waits, step_classes=StepClassSums(1, 60, 0, 0, 0, 0, 40, 0, 0))
    found = one(loads, "gpu_idle")
    assert "40.0 % of the traced steps the data loader ran" in found.why
    assert "num_workers" in found.next


def test_small_kernels(healthy: Facts) -> None:
    facts = with_use(healthy, utilization_ratio=0.5)
    assert "small_kernels" not in codes(
        replace(facts, kernels=(row("add", "elementwise", 9, 0.601),))
    )
    rows = (row("add", "elementwise", 3, 0.9), row("tiny", "reduction", 7, 0.4),
            row("ncclKernel", "collective", 50, 0.01))  # fmt: skip
    found = one(replace(facts, kernels=rows), "small_kernels")
    assert found.evidence["sm_efficiency_ratio"] == pytest.approx(0.55)
    assert found.evidence["kernel"] == "tiny"
    assert found.cost_ratio == pytest.approx(0.225)
    idle = with_use(facts, utilization_ratio=0.33)
    assert "small_kernels" not in codes(replace(idle, kernels=rows))


def test_low_occupancy(healthy: Facts) -> None:
    gemm = row("volta_s884gemm", "matmul", 3, 1, 0.1)
    low = row("gather", "embedding", 1, 1, 0.2)
    found = one(replace(healthy, kernels=(gemm, low, low)), "low_occupancy")
    assert found.severity == "info"
    assert found.evidence["occupancy_ratio"] == pytest.approx(0.2)
    assert "low_occupancy" not in codes(replace(healthy, kernels=(gemm, low)))
    enough = row("gather", "embedding", 3, 1, 0.3)
    assert "low_occupancy" not in codes(replace(healthy, kernels=(gemm, enough)))


def test_tensor_cores_that_nobody_uses(healthy: Facts) -> None:
    rows = (row("ampere_sgemm_128x64_tn", "matmul", 21), row("relu", "elementwise", 79))
    found = one(replace(healthy, kernels=rows), "tensor_cores_unused")
    assert found.evidence["products_ratio"] == pytest.approx(0.21)
    assert "ampere" in found.why
    assert "autocast" in found.next
    few = (row("ampere_sgemm_128x64_tn", "matmul", 19), row("relu", "elementwise", 81))
    assert codes(replace(healthy, kernels=few)) == set()
    half = (row("ampere_sgemm", "matmul", 10), row("s16816gemm", "matmul", 10))
    assert codes(replace(healthy, kernels=half)) == set()
    generated = (row("triton_tem_fused_mm", "matmul", 21), *half[1:], *rows[1:])
    assert codes(replace(healthy, kernels=generated)) == set()


def test_without_evidence_of_tensor_cores_none_are_missed(healthy: Facts) -> None:
    rows = (row("sgemm_largek", "matmul", 50),)
    assert codes(replace(healthy, kernels=rows)) == set()
    for capability, expected in (("9.0", {"tensor_cores_unused"}), ("6.1", set()), ("7.5", set())):
        devices = tuple(
            replace(d, facts={"compute_capability": capability}) for d in healthy.devices
        )
        assert codes(replace(healthy, kernels=rows, devices=devices)) == expected


def test_sixteen_bits_without_tensor_cores_are_odd_sizes(healthy: Facts) -> None:
    rows = (row("ampere_h16gemm_plain", "matmul", 50),)
    flops = FlopsUse(1, 1e9, {"bfloat16": 1e9}, 1.0, None, None, None)
    found = one(replace(healthy, kernels=rows, flops=flops), "tensor_cores_unused")
    assert "multiples of 8" in found.next
    assert found.evidence["dtypes"] == "bfloat16"


def test_communication_that_nothing_hides(healthy: Facts) -> None:
    def communicating(share: float, overlap: float) -> Facts:
        windows = [
            replace(w, communication_ns=int((w.span_ns or 0) * share),
                    overlap_ns=int((w.span_ns or 0) * overlap))
            for w in healthy.windows
        ]  # fmt: skip
        return replace(healthy, windows=tuple(windows))

    found = one(communicating(0.3, 0.1), "communication_exposed")
    assert found.evidence["exposed_ratio"] == pytest.approx(0.2)
    assert found.evidence["overlap_ratio"] == pytest.approx(1 / 3)
    assert codes(communicating(0.3, 0.2)) == set()


def test_what_is_found_in_real_traces(tmp_path: Path) -> None:
    expected = (
        (RESNET50, {"tensor_cores_unused"}),
        (NCCL, {"launch_bound"}),
        (DIFF_CONTROL, {"communication_exposed"}),
    )
    for number, (name, wanted) in enumerate(expected):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = of_trace(folder, name)
        assert found.keys() & OF_KERNELS == wanted
        if name == RESNET50:
            assert found["tensor_cores_unused"].evidence["tensor_core_ratio"] == 0
            assert "data loader" in found["gpu_idle"].why
        else:
            assert "gpu_idle" not in found
