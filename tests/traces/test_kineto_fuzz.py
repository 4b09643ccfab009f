"""Whatever is in the file: a window or a TraceError, in bounded time, never another exception."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwtop.analysis.results import PhaseSpan
from fwtop.analysis.window import figures
from fwtop.traces.kineto import Limits, read
from fwtop.traces.model import TraceError, TraceWindow
from tests.traces.trace_files import document, row

FIRST_NS = 4_556_967_021_017_377
"""As large as times get before the profiler moves its base."""
SMALL = Limits(
    file_bytes=1 << 20,
    inflated_bytes=4 << 20,
    header_bytes=1 << 16,
    event_bytes=1 << 16,
    events=200,
    piece_bytes=700,
)
CORPUS = (
    row("aten::mm", 10.5, 4.25, **{"External id": 1, "Input Dims": [[2, 3], [3, 4]]}),
    row("aten::t", 11, 1, **{"Sequence number": 4, "Call stack": "a.py(1): f;b.py(2): g"}),
    row("cudaLaunchKernel", 12, 1, cat="cuda_runtime", correlation=9),
    row("gemm", 20, 5, cat="kernel", tid=7, correlation=9, stream=7, device=0),
    row("Memcpy HtoD", 26, 5, cat="gpu_memcpy", tid=8, correlation=10, stream=8, bytes=4),
    row("nn.Module: Linear_0", 9, 8, cat="python_function", **{"Python id": 1}),
    row("train.py(3): f", 8, 20, cat="python_function", **{"Python id": 2}),
    {"ph": "i", "name": "[memory]", "tid": 7, "ts": 11, "args": {"Bytes": 64, "Device Type": 0}},
    {"ph": "M", "name": "process_name", "ts": 0, "pid": 5, "tid": 0, "args": {"name": "python"}},
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
keys = st.sampled_from(["ph", "cat", "name", "tid", "ts", "dur", "args"])
arguments = st.sampled_from(
    ["External id", "correlation", "stream", "Input Dims", "Bytes", "Call stack", "device"]
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def _read(folder: Path, data: bytes) -> TraceWindow | None:
    path = folder / "t.json"
    path.write_bytes(data)
    try:
        trace = read(path, SMALL)
    except TraceError as error:
        if str(path) not in str(error):
            raise
        return None
    assert trace.event_count <= SMALL.events
    for track in (*trace.tracks, *trace.frames):
        assert len(track.start_ns) == len(track.duration_ns) == len(track.kinds) == len(track)
        assert track.start_ns == sorted(track.start_ns)
        assert min(track.duration_ns) >= 0
        for column in (track.correlations, track.external_ids, track.sequences, track.shapes):
            assert column is None or len(column) == len(track)
    result = figures(trace, [PhaseSpan("forward", 0, 1 << 61)])
    assert all(row.self_ns >= 0 for row in result.operators)
    return trace


def _data(*rows: dict[str, Any]) -> bytes:
    return json.dumps(document(list(rows)), indent=1).encode()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_flipped_removed_and_doubled_bytes(folder: Path, data: st.DataObject) -> None:
    text = bytearray(_data(*CORPUS))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.sampled_from([0, 1, 1, 5, 60]))
        insert = data.draw(st.binary(max_size=4) | st.just(bytes(text[at : at + 90])))
        text[at : at + length] = insert
    _read(folder, bytes(text))


@given(st.lists(st.tuples(st.integers(0, len(CORPUS) - 1), keys, json_values), max_size=5))
@settings(max_examples=300, deadline=None)
def test_fields_of_any_type(folder: Path, changes: list[tuple[int, str, Any]]) -> None:
    rows = [dict(each) for each in CORPUS]
    for at, key, value in changes:
        rows[at][key] = value
    trace = _read(folder, _data(*rows))
    untouched = {rows[at]["name"] for at in (0, 1) if at not in {c[0] for c in changes}}
    assert trace is not None
    assert untouched <= {name for track in trace.tracks for name in track.names}


@given(st.lists(st.tuples(st.integers(0, len(CORPUS) - 1), arguments, json_values), max_size=5))
@settings(max_examples=300, deadline=None)
def test_arguments_of_any_type_cost_no_row(
    folder: Path, changes: list[tuple[int, str, Any]]
) -> None:
    rows = [{**each, "args": dict(each["args"])} for each in CORPUS]
    for at, key, value in changes:
        rows[at]["args"][key] = value
    trace = _read(folder, _data(*rows))
    assert trace is not None
    assert sum(len(track) for track in (*trace.tracks, *trace.frames)) == 5
    assert len(trace.device_events) == 2


@given(st.integers(0, 3_000), st.booleans())
@settings(max_examples=150, deadline=None)
def test_cut_anywhere(folder: Path, length: int, packed: bool) -> None:
    data = _data(*CORPUS)
    _read(folder, gzip.compress(data)[:length] if packed else data[:length])


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_random_bytes_in_the_array(folder: Path, junk: bytes) -> None:
    _read(folder, b'{"traceEvents": [' + junk)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**6), st.sampled_from([1, 2])),
        min_size=1,
        max_size=50,
    )
)
@settings(deadline=None)
def test_times_come_back_as_they_were(folder: Path, events: list[tuple[int, int, int]]) -> None:
    rows = [
        row(f"op{i}", 0, 0, tid=thread) | {"ts": f"@{ts + FIRST_NS}@", "dur": f"@{duration}@"}
        for i, (ts, duration, thread) in enumerate(events)
    ]
    text = _data(*rows).decode()
    text = re.sub(r'"@(\d*)(\d{3})@"', r"\1.\2", re.sub(r'"@(\d{1,3})@"', _below_one, text))
    trace = _read(folder, text.encode())
    assert trace is not None
    base = trace.base_unix_ns - document([])["baseTimeNanoseconds"] - FIRST_NS
    got = {
        (name, base + start, duration, track.thread)
        for track in trace.tracks
        for name, start, duration in zip(
            track.names, track.start_ns, track.duration_ns, strict=True
        )
    }
    assert got == {(f"op{i}", *event) for i, event in enumerate(events)}


def _below_one(match: re.Match[str]) -> str:
    return f"0.{int(match[1]):03d}"
