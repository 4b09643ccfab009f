"""Traces of a real TensorFlow (data/make_xplane.py), against what the traced model must execute.

Two dense layers, three steps of 16 samples, Adam on four variables. Forward: a matrix product a
layer. Backward: the gradient of each layer's weights, and of the second layer's input: three
products; a bias gradient a layer; one ReLU. Adam, for each variable: two moments and itself.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from fwtop.analysis.results import PhaseSpan, WindowFigures
from fwtop.analysis.window import figures
from fwtop.traces.model import TraceWindow
from fwtop.traces.xplane import read
from tests.traces.xplane_files import DATA

STEPS, VARIABLES, BATCH = 3, 4, 16


@cache
def _trace(name: str) -> TraceWindow:
    return read(DATA / f"{name}.xplane.pb.gz")


@cache
def _figures(name: str) -> WindowFigures:
    return figures(_trace(name), [])


def _calls(name: str, phase: str | None = None) -> Counter[str]:
    calls: Counter[str] = Counter()
    for row in _figures(name).operators:
        if phase in (None, row.phase):
            calls[row.name] += row.calls
    return calls


def _products(name: str, phase: str | None = None) -> int:
    return sum(n for kind, n in _calls(name, phase).items() if kind.endswith("MatMul"))


@pytest.mark.parametrize("name", ["keras-fit", "tf-function", "tf-function-xla", "eager"])
def test_steps_and_times(name: str) -> None:
    trace = _trace(name)
    marks = [
        (mark, start, duration)
        for track in trace.tracks
        for mark, start, duration in zip(
            track.names, track.start_ns, track.duration_ns, strict=True
        )
        if mark.startswith("ProfilerStep#")
    ]
    assert [mark for mark, _, _ in marks] == [f"ProfilerStep#{n}" for n in (20, 21, 22)]
    assert trace.notes == []
    assert 1_795_000_000 < trace.base_unix_ns / 1e9 < 1_900_000_000
    ends = [start + duration for _, start, duration in marks]
    assert all(0 < taken < 1e9 for _, _, taken in marks)
    assert ends[0] <= marks[1][1]
    assert ends[1] <= marks[2][1]


@pytest.mark.parametrize("name", ["keras-fit", "tf-function", "tf-function-xla"])
def test_a_graph_s_operators_by_phase(name: str) -> None:
    assert _products(name, "forward") == 2 * STEPS
    assert _products(name, "backward") == 3 * STEPS
    assert _products(name) == 5 * STEPS
    assert _calls(name, "backward")["BiasAddGrad"] == 2 * STEPS
    assert _calls(name, "backward")["ReluGrad"] == STEPS
    optimizer = _calls(name, "optimizer")
    assert optimizer["AssignAddVariableOp"] == 2 * VARIABLES * STEPS
    assert optimizer["AssignSubVariableOp"] == VARIABLES * STEPS
    assert not {"AssignSubVariableOp", "Sqrt"} & _calls(name, "forward").keys()


def test_eager_operators_and_their_phases_from_spans() -> None:
    assert _products("eager") == 5 * STEPS
    calls = _calls("eager")
    assert calls["AssignSubVariableOp"] == VARIABLES * STEPS
    assert calls["BiasAdd"] == calls["BiasAddGrad"] == 2 * STEPS
    trace = _trace("eager")
    (track,) = (track for track in trace.tracks if "ReluGrad" in track.names)
    start = trace.base_unix_ns + track.start_ns[track.names.index("ReluGrad")]
    rows = figures(trace, [PhaseSpan("backward", start, start + 1)]).operators
    assert {row.phase for row in rows if row.name == "ReluGrad"} == {"backward", "other"}


def test_the_input_pipeline_s_stages() -> None:
    stages = {stage.path: stage for stage in _figures("keras-fit").input_stages}
    batch = "Prefetch::MapAndBatch"
    shuffle = f"{batch}::Shuffle"
    assert stages.keys() == {"Prefetch", batch, shuffle, f"{shuffle}::TensorSlice"}
    assert stages["Prefetch"].calls == STEPS
    (wait,) = (row for row in _figures("keras-fit").operators if row.name == "IteratorGetNext")
    assert (wait.calls, wait.family, wait.phase) == (STEPS, "data", "input")
    assert wait.total_ns >= stages["Prefetch"].total_ns
    samples = stages[shuffle].calls  # fetched ahead, so the window cuts batches at both ends
    assert samples == stages[f"{shuffle}::TensorSlice"].calls
    assert (STEPS - 1) * BATCH <= samples <= (STEPS + 1) * BATCH
    inner = stages[f"{shuffle}::TensorSlice"]
    assert stages[shuffle].self_ns == stages[shuffle].total_ns - inner.total_ns


def test_self_times_fill_the_operators_that_enclose_them() -> None:
    """On each thread self times add up to the time that its outermost operators took."""
    trace = _trace("keras-fit")
    for track in trace.tracks:
        if any(mark.startswith("ProfilerStep#") for mark in track.names):
            continue
        outermost, until = 0, 0
        for start, duration in zip(track.start_ns, track.duration_ns, strict=True):
            if start >= until:
                outermost, until = outermost + duration, start + duration
        alone = TraceWindow(trace.base_unix_ns, [track])
        assert sum(row.self_ns for row in figures(alone, []).operators) == outermost


def test_families_of_what_runs() -> None:
    families = {row.name: row.family for row in _figures("keras-fit").operators}
    assert families["_MklNativeFusedMatMul"] == families["_MklMatMul"] == "matmul"
    assert families["Mul"] == families["Sqrt"] == families["RealDiv"] == "elementwise"
    assert families["BiasAddGrad"] == families["Sum"] == "reduction"


def test_layers_as_detail() -> None:
    products: Counter[str] = Counter()
    for detail in _figures("tf-function").details:
        if detail.kind == "module" and detail.name.endswith("MatMul"):
            products[detail.value] += detail.calls
    assert sorted(products.values()) == [2 * STEPS, 3 * STEPS]  # the second passes a gradient on
