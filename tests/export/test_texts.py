"""What recordings hold, made fit to be written."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.export.texts import LONGEST_LINE, cleaned, log_lines, valid
from fwtop.recording.model import LogChunk


@given(st.recursive(st.text() | st.floats() | st.none() | st.integers(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_what_is_cleaned_is_json_of_valid_text(value: object) -> None:
    text = json.dumps(cleaned(value), allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode("utf-8")) == cleaned(value)


def test_depth_is_bounded() -> None:
    nested: object = 1
    for _ in range(50_000):
        nested = [nested]
    text = json.dumps(cleaned(nested))
    assert text.count("[") <= 100
    assert "null" in text


def test_halves_of_pairs_and_numbers_that_json_lacks() -> None:
    assert valid("a\ud800b") == "a?b"
    assert cleaned({"\ud800": [math.nan, -math.inf, 1.5]}) == {"?": [None, None, 1.5]}


def chunk(at_ns: int, data: bytes, stream: int = 1) -> LogChunk:
    return LogChunk(at_ns, at_ns, stream, data)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"no end", ["no end"]),
        (b"\n\n", ["", ""]),
        (b"10%\r50%\r100%\ndone", ["100%", "done"]),
        (b"windows\r\n", ["windows"]),
        (b"\x1b[31mred\x1b[0m \x1b]0;title\x07end \x1b[2K", ["red end"]),
        (b"nul\x00bell\x07\x9b", ["nulbell\ufffd"]),
        (b"\xff\xfe", ["\ufffd\ufffd"]),
    ],
)
def test_lines_are_as_a_terminal_leaves_them(data: bytes, lines: list[str]) -> None:
    assert [line.text for line in log_lines([chunk(1, data)])] == lines
    by_byte = [chunk(1, data[i : i + 1]) for i in range(len(data))]
    assert [line.text for line in log_lines(by_byte)] == lines


def test_a_line_has_the_time_of_its_first_byte_and_its_stream() -> None:
    chunks = [chunk(1, b"a"), chunk(2, b"err\n", 2), chunk(3, b"b\nc"), chunk(4, b"d\n")]
    assert [(line.at_ns, line.stream, line.text) for line in log_lines(chunks)] == [
        (2, 2, "err"), (1, 1, "ab"), (3, 1, "cd"),
    ]  # fmt: skip


def test_a_line_without_end_is_cut() -> None:
    lines = list(log_lines(chunk(n, b"x" * 1000) for n in range(100)))
    assert sum(len(line.text) for line in lines) == 100_000
    assert max(len(line.text) for line in lines) <= LONGEST_LINE + 1000


def test_a_terminals_new_size_is_no_line() -> None:
    chunks = [chunk(1, b"on"), chunk(2, b"40 120\n", 3), chunk(3, b"e\n")]
    assert [line.text for line in log_lines(chunks)] == ["one"]
