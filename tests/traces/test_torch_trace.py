"""TORCH_TRACE logs: what they tell, when it was, and what becomes of damage."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest

from fwtop.traces.blocks import Limits
from fwtop.traces.model import TraceError
from fwtop.traces.torch_trace import MOST_NOTES, CompileLog, read
from tests.shared_traces import shared_trace
from tests.traces.torch_logs import START_US, chromium, compiled, interned, log, record, write

HIT_MISS = "torch-trace-cache-hit-miss.log"
CORRUPTED = "torch-trace-corrupted.log"


def _kinds(found: CompileLog) -> Counter[str]:
    return Counter(event.kind for event in found.events if event.kind != "phase")


def test_a_compile_with_its_place_its_time_and_its_graph(tmp_path: Path) -> None:
    found = read(write(tmp_path / "t.log", [compiled(at_us=200_000, takes_us=50_000)]))
    compile_, phase, miss = found.events
    assert (compile_.kind, compile_.function, compile_.line) == ("compile", "f", 9)
    assert compile_.file == "/home/me/train.py"
    assert compile_.detail == {"graph_ops": 7}
    assert compile_.start_ns == (START_US + 200_000) * 1000
    assert compile_.duration_ns == 50_000_000
    assert (phase.kind, phase.name, phase.parent_key) == ("phase", "backend", compile_.key)
    assert phase.duration_ns == 48_000_000
    assert (miss.kind, miss.name) == ("cache_miss", "FX graph cache")
    assert (found.process.pid, found.process.framework) == (4242, "torch")
    assert found.notes == []


def test_an_id_in_use_again_is_another_compile(tmp_path: Path) -> None:
    """`torch._dynamo.reset()` begins the ids anew."""
    found = read(write(tmp_path / "t.log", [compiled(), compiled(at_us=90_000, takes_us=9_000)]))
    times = [event.duration_ns for event in found.events if event.kind == "compile"]
    assert times == [50_000_000, 9_000_000]


def test_the_rank_is_the_records_own(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    path.write_bytes(log(record({"dynamo_start": {}, "rank": 3}), record({"x": 1, "rank": "no"})))
    assert read(path).process.rank == 3


def test_without_chromium_events_the_year_is_the_file_s(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    path.write_text(record({"dynamo_start": {}, "frame_id": 0, "frame_compile_id": 0}))
    os.utime(path, (1_735_000_000, 1_735_000_000))  # 2024-12-24
    assert read(path).begin_unix_ns == 1_733_498_685_403_000_000  # 2024-12-06 15:24:45.403 UTC
    os.utime(path, (1_730_000_000, 1_730_000_000))  # 2024-10-27: so it was the year before
    assert read(path).begin_unix_ns == 1_701_876_285_403_000_000


def test_pytorch_s_own_frames_are_no_user_s(tmp_path: Path) -> None:
    stack = [
        {"line": 5, "name": "main", "filename": 1},
        {"line": 2, "name": "inner", "filename": 2},
    ]
    ids = {"frame_id": 0, "frame_compile_id": 0}
    path = write(
        tmp_path / "t.log",
        [interned("/opt/env/torch/nn/modules/linear.py", 2),
         record({"dynamo_start": {"stack": stack}, **ids})],
    )  # fmt: skip
    (event,) = read(path).events
    assert (event.function, event.file, event.line) == ("main", "/home/me/train.py", 5)


def test_a_damaged_line_is_told_by_its_number_and_nothing_after_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    good = compiled(at_us=500_000)
    lines_before = log(compiled()).count(b"\n")
    path.write_bytes(
        log(compiled()) + b"V1206 15:24:46.000000 42 x.py:1] {broken\n" + good.encode()
    )
    found = read(path)
    assert _kinds(found) == {"compile": 2, "cache_miss": 2}
    assert found.notes == [f"line {lines_before + 1}: its JSON is damaged"]


@pytest.mark.parametrize(
    ("junk", "words"),
    [
        (b"not a record\n", "it is no record"),
        (b"V1399 15:24:46.000000 42 x.py:1] {}\n", "its time is none"),
        (b"V1206 15:24:46.000000 42 x.py:1] [1]\n", "it is no record"),
        (
            b'V1206 15:24:46.000000 42 x.py:1] {"str": 5}\n',
            "its fields are not what they should be",
        ),
        (b'V1206 15:24:46.000000 42 x.py:1] {"artifact": [3]}\n', "its fields are not"),
        (
            b'V1206 15:24:46.000000 42 x.py:1] {"has_payload": "00"}\n\tx\n',
            "its payload is damaged",
        ),
    ],
)
def test_damage_of_each_kind(tmp_path: Path, junk: bytes, words: str) -> None:
    path = tmp_path / "t.log"
    path.write_bytes(log(compiled()) + junk + compiled(at_us=400_000).encode())
    found = read(path)
    assert _kinds(found) == {"compile": 2, "cache_miss": 2}
    (note,) = found.notes
    assert words in note
    lines_before = log(compiled()).count(b"\n")
    assert note.startswith(f"line {lines_before + 1}:")


def test_a_payload_s_damage_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    text = log(chromium("a", "B", 1)).decode()
    path.write_text(text.replace('\t"ph": "B",\n', '\t"ph" "B",\n') + compiled(at_us=9))
    found = read(path)
    assert found.notes == ["line 3: its payload is damaged near line 8 (Expecting ':' delimiter)"]
    assert _kinds(found)["compile"] == 1


def test_many_damaged_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    path.write_bytes(log(compiled()) + b"junk\n" * (MOST_NOTES + 30))
    notes = read(path).notes
    assert len(notes) == MOST_NOTES + 1
    assert notes[-1] == "and 30 damaged lines more"


def test_a_line_beyond_the_limit_is_damage_and_held_by_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    path.write_bytes(log() + b"\t" + b"x" * (3 << 20) + b"\n" + compiled().encode())
    found = read(path, Limits(event_bytes=1 << 16))
    assert _kinds(found)["compile"] == 1
    assert found.notes == ["line 3: it is too long for a record"]


def test_cut_off_and_packed(tmp_path: Path) -> None:
    path = tmp_path / "t.log.gz"
    packed = gzip.compress(log(*[compiled(number, number * 60_000) for number in range(200)]))
    path.write_bytes(packed[: len(packed) * 2 // 3])
    found = read(path)
    assert 0 < _kinds(found)["compile"] < 200
    assert "the gzip stream ends early" in found.notes[-1]


def test_a_file_without_a_record_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.log"
    path.write_text("hello\nworld\n")
    with pytest.raises(TraceError, match=r"no record .* \(line 1: it is no record\)"):
        read(path)


def test_shared_log_has_six_compiles_and_its_caches_answers() -> None:
    found = read(shared_trace(HIT_MISS))
    assert found.notes == []
    caches = [event.kind for event in found.events if event.name == "FX graph cache"]
    assert caches == ["cache_miss", "cache_hit", "cache_miss"]
    assert _kinds(found) == {
        "compile": 6, "cache_miss": 2, "cache_hit": 1, "cache_bypass": 3
    }  # fmt: skip
    assert {event.name for event in found.events if event.kind == "cache_bypass"} == {
        "AOT autograd cache"
    }
    compiles = [event for event in found.events if event.kind == "compile"]
    assert [event.function for event in compiles] == ["fn", "fn", "fn", "fn", "fn2", "fn2"]
    assert all(event.duration_ns for event in compiles)


def test_shared_damaged_log_is_read_whole_but_for_its_damage() -> None:
    path = shared_trace(CORRUPTED)
    found = read(path)
    assert found.record_count == sum(
        line.startswith(b"V") for line in path.read_bytes().split(b"\n")
    )
    (note,) = found.notes
    assert note == "line 13: its payload is damaged near line 19 (Expecting ',' delimiter)"
    assert _kinds(found) == {"compile": 1, "cache_miss": 1}
