"""Real windows: a real PyTorch is profiled in a process of its own, and its own sums are the
measure of ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.phases import LEAD_NS
from fwtop.analysis.results import PhaseSpan, WindowFigures
from fwtop.analysis.window import figures
from fwtop.traces.kineto import read
from fwtop.traces.model import TraceWindow

pytest.importorskip("torch", reason="these traces are taken by torch itself: pip install torch")
pytestmark = pytest.mark.torch
SCRIPT = Path(__file__).with_name("profiled_training.py")


@dataclass(frozen=True)
class Profiled:
    trace: TraceWindow
    result: WindowFigures
    told: dict[str, Any]
    """What torch says of the same window: averages by key, and the phases' bounds."""


def _profiled(folder: Path, *options: str) -> Profiled:
    subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), *options], check=True, capture_output=True
    )
    told = json.loads((folder / "told.json").read_text())
    trace = read(folder / "trace.json")
    spans = [PhaseSpan(*span) for span in told["spans"]]
    return Profiled(trace, figures(trace, spans), told)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Profiled:
    return _profiled(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Profiled:
    return _profiled(tmp_path_factory.mktemp("deep"), "deep")


def _sums(result: WindowFigures) -> dict[str, list[int]]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in result.operators:
        for i, value in enumerate((row.calls, row.self_ns, row.total_ns)):
            sums[row.name][i] += value
    return sums


def test_calls_self_and_total_times_are_torch_s(plain: Profiled) -> None:
    assert plain.trace.notes == []
    sums = _sums(plain.result)
    averages = plain.told["averages"]
    assert len(averages) > 40
    assert set(sums) == set(averages)
    for name, (count, self_us, total_us) in averages.items():
        calls, self_ns, total_ns = sums[name]
        assert calls == count, name
        # torch adds up microseconds as floats.
        assert self_ns == pytest.approx(self_us * 1000, abs=2 * count), name
        assert total_ns == pytest.approx(total_us * 1000, abs=2 * count), name


def test_phases_by_spans(plain: Profiled) -> None:
    phases: dict[str, set[str]] = defaultdict(set)
    calls: dict[tuple[str, str], int] = {}
    for row in plain.result.operators:
        phases[row.name].add(row.phase)
        calls[row.name, row.phase] = row.calls
    assert phases["autograd::engine::evaluate_function: AddmmBackward0"] == {"backward"}
    assert phases["aten::addmm"] == {"forward"}
    assert phases["Optimizer.step#Adam.step"] == {"optimizer"}
    assert phases["enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"] == {"input"}
    assert calls["aten::addmm", "forward"] == plain.told["steps"] * plain.told["linears"]


def test_phases_by_names_agree_with_those_by_spans(plain: Profiled) -> None:
    by_name = figures(plain.trace, [])
    for phase in ("input", "backward", "optimizer"):
        got = sum(r.self_ns for r in by_name.operators if r.phase == phase)
        expected = sum(r.self_ns for r in plain.result.operators if r.phase == phase)
        # Spans take LEAD_NS of the gap before each; names begin where the framework says.
        lead = LEAD_NS * plain.told["steps"]
        assert got == pytest.approx(expected, rel=0.05, abs=lead), phase


def test_the_window_lies_where_the_wall_clock_said(plain: Profiled) -> None:
    begin, end = plain.told["spans"][0][1], plain.told["spans"][-1][2]
    for track in plain.trace.tracks:
        first = plain.trace.base_unix_ns + track.start_ns[0]
        last = plain.trace.base_unix_ns + track.start_ns[-1] + track.duration_ns[-1]
        assert begin - 5_000_000 < first < last < end + 5_000_000


def test_a_plain_window_has_no_details_and_no_device(plain: Profiled) -> None:
    assert plain.result.details == ()
    assert plain.result.kernels == ()
    assert plain.result.breakdown.span_ns is None
    assert all(row.flops is None for row in plain.result.operators)


def test_shapes_modules_and_source_lines(deep: Profiled) -> None:
    rows = {(d.name, d.kind, d.value): d for d in deep.result.details}
    steps = deep.told["steps"]
    shape = rows["aten::addmm", "shape", "[[16], [8, 32], [32, 16], [], []]"]
    assert shape.calls == steps
    module = rows["aten::addmm", "module", "Linear_1"]
    assert module.calls == steps
    backward = rows["autograd::engine::evaluate_function: AddmmBackward0", "module", "Linear_1"]
    assert backward.calls == steps
    sources = {value for name, kind, value in rows if (name, kind) == ("aten::addmm", "source")}
    assert sources
    assert all("profiled_training.py(" in value for value in sources)
    assert any(value.endswith(": forward") for value in sources)


def test_details_of_a_kind_add_up_to_the_operator(deep: Profiled) -> None:
    sums = _sums(deep.result)
    by_shape: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for detail in deep.result.details:
        if detail.kind == "shape":
            by_shape[detail.name][0] += detail.calls
            by_shape[detail.name][1] += detail.self_ns
    assert by_shape["aten::addmm"] == sums["aten::addmm"][:2]
    assert by_shape["aten::native_layer_norm"] == sums["aten::native_layer_norm"][:2]


def test_python_frames_are_no_operators(deep: Profiled) -> None:
    assert sum(len(track) for track in deep.trace.frames) > 100
    names = {row.name for row in deep.result.operators}
    assert not [name for name in names if name.startswith("nn.Module") or ".py(" in name]
    assert names < set(deep.told["averages"])
    assert {name for name in deep.told["averages"] if name.startswith("aten::")} < names


def test_memory_and_flops_are_torch_s(deep: Profiled) -> None:
    got: dict[str, int] = defaultdict(int)
    flops: dict[str, int] = defaultdict(int)
    for row in deep.result.operators:
        got[row.name] += row.self_allocated_bytes or 0
        flops[row.name] += row.flops or 0
    # torch charges what a Python function frees to that function, where we have no row for it.
    expected = {k: v for k, v in deep.told["memory"].items() if k.startswith("aten::")}
    assert expected["aten::addmm"] > 0
    assert {name: got[name] for name in expected} == expected
    for name in ("aten::mm", "aten::addmm"):
        assert flops[name] == deep.told["flops"][name] > 0
    assert flops["aten::convolution"] == deep.told["flops"]["aten::conv2d"] > 0
