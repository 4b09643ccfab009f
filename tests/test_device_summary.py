"""What a summary says of the devices, in JSON and in words."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from fwtop.analysis.summary_model import Summary
from fwtop.cli.summary_text import render
from fwtop.formatting import format_flops, format_flops_per_s
from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find
from fwtop.recording.store import open_recording
from fwtop.summary import summarize
from tests import recordings
from tests.shared_traces import DIFF_CONTROL, RESNET50, shared_trace


def of_trace(folder: Path, name: str) -> Summary:
    path = folder / "run.fwtop"
    import_traces(find([shared_trace(name)]), path)
    with open_recording(path) as recording:
        return summarize(recording)


def test_tensorboard_s_figures_of_resnet50_are_in_the_summary(tmp_path: Path) -> None:
    summary = of_trace(tmp_path, RESNET50)
    kernels = summary.kernels
    ratios = (kernels.utilization_ratio, kernels.sm_efficiency_ratio, kernels.occupancy_ratio)
    assert [round(100 * ratio, 2) for ratio in ratios if ratio is not None] == [55.51, 54.68, 49.13]
    assert kernels.tensor_core_ratio == 0
    assert round(sum(summary.step_breakdown.mean_ns.values()) / 1000) == 177_592
    # The trace does not tell its convolutions' strides, so what is known is no share of a peak.
    assert summary.flops.coverage_ratio is not None
    assert summary.flops.coverage_ratio < 0.1
    assert summary.flops.mfu_ratio is None
    text = "\n".join(render(summary, "run.fwtop"))
    assert "kernels ran 55.5 %, multiprocessors busy 54.7 % of the time" in text
    assert "occupancy 49.1 %, tensor cores 0 % of the kernels' time" in text
    assert "step time  178 ms, of 6 traced steps" in text


def test_mfu_of_a_trace_whose_board_is_known_by_its_number(tmp_path: Path) -> None:
    flops = of_trace(tmp_path, DIFF_CONTROL).flops
    assert flops.coverage_ratio is not None
    assert flops.coverage_ratio > 0.9
    assert list(flops.dtypes) == ["tf32"]
    assert flops.flops_per_s is not None
    assert flops.peak_flops_per_s == 156e12
    assert flops.mfu_ratio == pytest.approx(flops.flops_per_s / 156e12)
    assert flops.mfu_ratio == pytest.approx(0.0285, abs=1e-4)


def test_an_unknown_board_has_no_peak(tmp_path: Path) -> None:
    trace = gzip.decompress(shared_trace(DIFF_CONTROL).read_bytes())
    unknown = tmp_path / "unknown.json"
    unknown.write_bytes(trace.replace(b"NVIDIA A100-PG509-200", b"NVIDIA Z900-XX000-000"))
    import_traces(find([unknown]), tmp_path / "run.fwtop")
    with open_recording(tmp_path / "run.fwtop") as recording:
        flops = summarize(recording).flops
    assert flops.flops_per_s is not None
    assert (flops.peak_flops_per_s, flops.mfu_ratio) == (None, None)


def test_mfu_of_a_known_board(tmp_path: Path) -> None:
    builder = recordings.Builder(tmp_path / "run.fwtop", recordings.Spec(steps=300))
    builder.add_everything()
    builder.add_window(deep=True)
    with open_recording(builder.finish()) as recording:
        summary = summarize(recording)
    flops = summary.flops
    assert (flops.steps, flops.step_flops, flops.peak_flops_per_s) == (1, 11.63e12, 312e12)
    assert summary.steps.mean_ns is not None
    assert flops.mfu_ratio == pytest.approx(11.63e12 / (summary.steps.mean_ns / 1e9) / 312e12)
    text = "\n".join(render(summary, "run.fwtop"))
    assert "of the peak, 312 TFLOP/s (MFU)" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_nothing_of_it_is_known_on_the_cpu(tmp_path: Path) -> None:
    with open_recording(recordings.build(tmp_path / "run.fwtop", gpus=0, steps=60)) as recording:
        summary = summarize(recording)
    assert summary.kernels.utilization_ratio is None
    assert summary.kernels.launches is None
    assert (summary.step_breakdown.steps, summary.step_breakdown.mean_ns) == (0, {})
    assert (summary.flops.step_flops, summary.flops.mfu_ratio) == (None, None)
    text = "\n".join(render(summary, "run.fwtop"))
    assert "step time" not in text
    assert "flops" not in text


def test_flops_in_words() -> None:
    assert format_flops(None) == "–"
    assert format_flops(999) == "999 FLOP"
    assert format_flops(1.234e12) == "1.23 TFLOP"
    assert format_flops_per_s(312e12) == "312 TFLOP/s"
    assert format_flops_per_s(None) == "–"
