"""Whatever is in the file: a window or a TraceError, in bounded time, never another exception."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwtop.analysis.results import PhaseSpan
from fwtop.analysis.window import figures
from fwtop.traces.model import TraceError, TraceWindow
from fwtop.traces.protobuf_wire import BROKEN, fields, runs
from fwtop.traces.xplane import Limits, read
from fwtop.traces.xplane_pb2 import Line
from tests.traces.xplane_files import (
    Event,
    PlaneWriter,
    environment,
    hlo_proto,
    length_delimited,
    real,
    space,
)

SMALL = Limits(file_bytes=4 << 20, inflated_bytes=4 << 20, event_bytes=1 << 16, events=3_000)
MODULE = {"hlo_op": "fusion.1", "hlo_module": "jit_f"}
CORPUS = space(
    environment(),
    PlaneWriter("/host:metadata").module("jit_f(1)", hlo_proto([("fusion.1", "Mul", "a/Mul")])),
    PlaneWriter("/host:CPU")
    .line("python", [
        Event("fwtop_step", 0, 90, {"step": 3}),
        Event("gradient_tape/a/MatMul:MatMul", 1, 20, {"shape": "(float[2,2])"}),
        Event("cuLaunchKernel", 2, 3, {"correlation_id": 5}),
        Event("MemoryAllocation", 6, 0, {"allocator_name": "GPU_0", "allocation_bytes": 64}),
        Event("fusion.1", 30, 3, dict(MODULE)),
        Event("IteratorGetNextOp::DoCompute", 40, 3),
        Event("$train.py:3 f", 50, 3),
    ]),
    PlaneWriter("/device:GPU:0")
    .line("Stream #7(Compute)", [Event("gemm", 5, 9, {"correlation_id": 5})])
    .line("Steps", [Event("3", 0, 90)]),
)  # fmt: skip
REAL = real("tf-function-xla")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def _read(folder: Path, data: bytes, limits: Limits = SMALL) -> TraceWindow | None:
    path = folder / "t.xplane.pb"
    path.write_bytes(data)
    try:
        trace = read(path, limits)
    except TraceError as error:
        if str(path) not in str(error):
            raise
        return None
    assert trace.event_count <= limits.events
    for track in (*trace.tracks, *trace.frames):
        assert len(track.start_ns) == len(track.duration_ns) == len(track.kinds) == len(track)
        assert track.start_ns == sorted(track.start_ns)
        assert min(track.duration_ns) >= 0
        for column in (track.correlations, track.shapes, track.modules, track.phases):
            assert column is None or len(column) == len(track)
    result = figures(trace, [PhaseSpan("forward", 0, 1 << 61)])
    for row in result.operators:
        assert 0 <= row.self_ns < 1 << 63
        assert 0 <= row.total_ns < 1 << 63
        assert -(1 << 63) < (row.self_allocated_bytes or 0) < 1 << 63
    assert (result.breakdown.span_ns or 0) < 1 << 63
    return trace


def test_the_corpus_is_whole(folder: Path) -> None:
    trace = _read(folder, CORPUS)
    assert trace is not None
    assert trace.notes == []
    assert len(trace.tracks[0]) == 5
    assert len(trace.device_events) == len(trace.device_steps) == len(trace.frames) == 1


@given(st.integers(0, len(CORPUS)))
@settings(deadline=None)
def test_truncated_anywhere(folder: Path, at: int) -> None:
    trace = _read(folder, CORPUS[:at])
    if trace is not None and at < len(CORPUS):
        whole = _read(folder, CORPUS)
        assert whole is not None
        assert trace.event_count <= whole.event_count


@given(st.integers(0, len(REAL) - 1))
@settings(max_examples=30, deadline=None)
def test_a_real_file_truncated_anywhere_says_so(folder: Path, at: int) -> None:
    starts = {start for _, _, start, _, _ in fields(REAL, 0, len(REAL))}
    trace = _read(folder, REAL[:at])
    assert trace is None or trace.notes or at in starts


@given(st.lists(st.tuples(st.integers(0, len(CORPUS) - 1), st.integers(0, 255)), max_size=8))
@settings(max_examples=300, deadline=None)
def test_bytes_changed_anywhere(folder: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(CORPUS)
    for at, value in changes:
        data[at] = value
    _read(folder, bytes(data))


@given(
    st.lists(st.tuples(st.integers(0, len(REAL) - 1), st.integers(0, 255)), min_size=1, max_size=40)
)
@settings(max_examples=40, deadline=None)
def test_bytes_of_a_real_file_changed_anywhere(
    folder: Path, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(REAL)
    for at, value in changes:
        data[at] = value
    _read(folder, bytes(data))


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x1f\x8b", b"\x0a", b"\x0a\x10\x12\x09"]))
@settings(deadline=None)
def test_any_bytes(folder: Path, data: bytes, magic: bytes) -> None:
    _read(folder, magic + data)


times = st.integers(-(1 << 63), (1 << 63) - 1)


@given(st.lists(st.tuples(times, times, times, st.integers(-2, 9)), max_size=6))
@settings(deadline=None)
def test_any_times_and_ids(folder: Path, lines: list[tuple[int, int, int, int]]) -> None:
    host, device = b"", b""
    for at, offset, duration, key in lines:
        line = Line(id=1, name=b"python", timestamp_ns=at)
        line.events.add(metadata_id=key, offset_ps=offset, duration_ps=duration)
        host += length_delimited(3, line.SerializeToString())
        line.name = b"Stream #1"
        device += length_delimited(3, line.SerializeToString())
    names = PlaneWriter("/host:CPU").line("x", [Event(f"{n}:Mul", 0, 1) for n in range(4)])
    gpu = PlaneWriter("/device:GPU:0")
    data = length_delimited(1, names.done() + host) + length_delimited(1, gpu.done() + device)
    assert _read(folder, data) is not None


@pytest.mark.parametrize(
    "filler",
    [
        b"\x0a\x00",  # planes
        length_delimited(1, b"\x12\x09/host:CPU" + b"\x1a\x00" * 100),  # lines
        length_delimited(1, b"\x12\x09/host:CPU" + length_delimited(3, b"\x22\x00" * 200_000)),
        length_delimited(1, b"\x12\x09/host:CPU" + b"\x22\x00" * 200_000),  # names
        length_delimited(1, b"\x12\x09/host:CPU" + b"\x12\x01a" * 200_000),
        length_delimited(1, length_delimited(2, b"/host:CPU" + b"n" * 400_000)),
    ],
    ids=["planes", "lines", "events", "names", "fields", "a long name"],
)
def test_absurd_counts_end(folder: Path, filler: bytes) -> None:
    _read(folder, filler * (4_000_000 // len(filler)))


@given(st.binary(max_size=120), st.integers(1, 40), st.integers(1, 60))
@settings(deadline=None)
def test_a_walk_covers_each_byte_once(data: bytes, most_bytes: int, most_fields: int) -> None:
    """What the fields and runs leave out is tags and lengths only, and they come in order."""
    at = 0
    for _, wire, start, held, end in fields(data, 0, len(data)):
        assert start == at <= held <= end <= len(data)
        at = end
        assert wire != BROKEN or end == len(data)
    assert at == len(data)
    end = 0
    for _, start, stop in runs(data, 0, len(data), 3, most_bytes, most_fields):
        assert end <= start <= stop or stop == len(data)
        end = max(end, stop)
    assert end == len(data)
