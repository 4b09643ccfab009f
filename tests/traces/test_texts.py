from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.traces import blocks, kineto
from fwtop.traces.texts import FURTHER, LONGEST, TextPool
from tests.traces.trace_files import document, row


@given(st.lists(st.lists(st.text(max_size=5)), max_size=6))
def test_the_same_texts_one_object_each(pieces: list[list[str]]) -> None:
    pool = TextPool()
    found = [text for piece in pieces for text in pool.pooled(piece)]
    assert found == [text for piece in pieces for text in piece]
    assert len({id(text) for text in found}) == len(set(found))
    assert not pool.full


def test_raw_texts_and_texts_are_the_same_pool() -> None:
    pool = TextPool()
    (one,) = pool.pooled(["é" * 20])
    assert pool.decoded([("é" * 20).encode(), b"", b"\xff"]) == ["é" * 20, "", "�"]
    assert pool.decoded([("é" * 20).encode()])[0] is one
    assert pool.one("é" * 20) is one


def test_beyond_the_bounds_texts_are_not_told_apart() -> None:
    for pool in (TextPool(most_texts=2), TextPool(most_characters=4)):
        assert pool.pooled(["aa", "bb", "cc"]) == ["aa", "bb", "cc"]  # a piece is taken whole
        assert pool.full
        assert pool.pooled(["dd", "aa"]) == [FURTHER, "aa"]
        assert pool.decoded([b"ee", b"cc"]) == [FURTHER, FURTHER]
        assert pool.one("ff") == FURTHER


def test_a_text_that_is_too_long_is_cut() -> None:
    pool = TextPool()
    long = "y" * (LONGEST + 9)
    assert pool.pooled(["a", long, long, "b"]) == ["a", long[:LONGEST], long[:LONGEST], "b"]
    assert pool.one(long) == long[:LONGEST]
    huge = b"z" * (LONGEST * 5)
    cut = "z" * LONGEST
    assert pool.decoded([huge, b"a", huge]) == [cut, "a", cut]
    assert not pool.full


def test_a_trace_with_too_many_names_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(f"aten::op{number}", number, 1) for number in range(400)]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document(rows)))
    small = kineto.Limits(piece_bytes=2_000)
    monkeypatch.setattr(blocks, "_READ_BYTES", 2_000)
    monkeypatch.setattr(kineto, "TextPool", lambda: TextPool(most_texts=100))
    trace = kineto.read(path, small)
    (track,) = trace.tracks
    assert len(track) == 400
    assert 100 <= len(set(track.names)) < 200
    assert trace.notes == ["it has too many names: the last ones are not told apart"]


def test_a_hostile_number_of_threads_is_one(tmp_path: Path) -> None:
    rows = [row("aten::add", number, 1, tid=f"{number} " + "x" * 500) for number in range(5_000)]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document(rows)))
    trace = kineto.read(path)
    assert len(trace.tracks) == 4_097
    assert sum(map(len, trace.tracks)) == 5_000
    assert max(len(str(track.thread)) for track in trace.tracks) == 100
