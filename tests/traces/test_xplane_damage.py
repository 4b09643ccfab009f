"""XPlane files that are compressed, damaged, too large, or none."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from fwtop.traces import reader
from fwtop.traces.model import TraceError
from fwtop.traces.xplane import Limits, read
from tests.traces.xplane_events import host, operators
from tests.traces.xplane_files import (
    Event,
    PlaneWriter,
    space,
    write,
)


def test_gzip_is_inflated(tmp_path: Path) -> None:
    path = tmp_path / "t.pb.gz"
    path.write_bytes(gzip.compress(space(host(Event("a:Mul", 0, 1)))))
    assert operators(read(path)) == [("Mul", "forward")]


# --- what is damaged ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"traceEvents": []}', b"\x00" * 64, b"no trace at all", b"\xff" * 4_096],
)
def test_what_is_no_trace_is_refused_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.pb"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=r"xplane\.pb") as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir])
def test_no_file_is_an_error_in_words(tmp_path: Path, make: object) -> None:
    path = tmp_path / "t.pb"
    make(path)  # type: ignore[operator]
    with pytest.raises(TraceError, match="Check the path"):
        read(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "t.pb"
    path.write_bytes(compress(bytes(1 << 20)))  # type: ignore[operator]
    with pytest.raises(TraceError, match="more than 65,536 bytes"):
        read(path, Limits(file_bytes=1 << 16))


def test_of_a_truncated_file_everything_whole_is_kept(tmp_path: Path) -> None:
    gpu = PlaneWriter("/device:GPU:0").line("Stream #1(Compute)", [Event("gemm", 0, 30)])
    calls = [Event(f"a_{number}:Mul", number, 1) for number in range(50)]
    last = PlaneWriter("/host:CPU").line("python", calls, number=1)
    last.line("tf_Compute/1", calls, number=2)
    data = space(gpu, last)
    path = tmp_path / "t.pb"
    path.write_bytes(data[:-200])
    trace = read(path)
    assert [event.name for event in trace.device_events] == ["gemm"]
    lengths = [len(track) for track in trace.tracks]
    assert lengths[0] == 50
    assert 30 < lengths[1] < 50
    (note,) = trace.notes
    assert "truncated or damaged at byte" in note


def test_insane_times_are_left_out_and_counted(tmp_path: Path) -> None:
    insane: Sequence[Event] = [
        Event("a:Mul", 0, -5),
        Event("b:Mul", 0, 1 << 45),
        Event("fwtop_step", 0, -5, {"step": 1}),
    ]
    trace = read(write(tmp_path / "t.pb", host(*insane, Event("c:Mul", 0, 5))))
    assert operators(trace) == [("Mul", "forward")]
    assert trace.dropped_count == 3
    assert trace.notes == ["3 damaged events were left out"]


def test_more_events_than_wanted_are_left_out_with_a_note(tmp_path: Path) -> None:
    many = host(*(Event("a:Mul", number, 1) for number in range(100)))
    trace = read(write(tmp_path / "t.pb", many), Limits(events=60))
    assert len(trace.tracks[0]) == trace.event_count == 60
    assert trace.notes == ["only the first 60 events were read"]


def test_a_long_line_is_read_in_parts(tmp_path: Path) -> None:
    names = [f"{'scope/' * 60}a_{number}:Mul" for number in range(100)]
    count = 60_000  # at 24 bytes each beyond a mebibyte
    events = (
        Event(names[at % 100], at, 0.5, {"shape": "(float[16,16])"}) for at in range(count)
    )  # fmt: skip
    trace = read(write(tmp_path / "t.pb", host(*events)))
    assert len(trace.tracks[0]) == trace.event_count == count
    assert trace.tracks[0].start_ns == list(range(count))
    assert trace.notes == []


def test_dispatch_by_format(tmp_path: Path) -> None:
    path = write(tmp_path / "t.pb", host(Event("a:Mul", 0, 1)))
    assert reader.read(path, "xplane").event_count == 1
    with pytest.raises(TraceError, match="Kineto or Chrome"):
        reader.read(path, "kineto")
    with pytest.raises(TraceError, match="fwtop reads kineto and xplane"):
        reader.read(path, "pickle")
