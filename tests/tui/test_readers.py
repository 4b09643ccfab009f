"""The log in the size of the terminal that the script wrote to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.log_lines import LEVELS
from fwtop.launch import shim_output
from fwtop.queries import log
from fwtop.queries.run import get_run
from fwtop.recording.store import open_recording
from fwtop.tui.readers import TAIL_BYTES, LogReader, terminal_size
from fwtop.tui.script_terminal import MAX_COLUMNS, SCREEN_LINES
from fwtop.tui.snapshot import Moment, Wanted
from tests import recordings

WIDE = 30


def lines(path: Path, options: dict[str, Any], output: bytes) -> list[str]:
    """What a viewer shows of `output`, written under `options`."""
    builder = recordings.Builder(path, recordings.Spec(log=False))
    builder._db.execute("UPDATE run SET options = ?", (json.dumps(options),))
    # As in a real recording, the id is where the piece ends.
    builder.insert("log", id=len(output), at_ns=1, stream=1, data=output)
    builder.finish()
    with open_recording(path) as recording:
        return [line.text for line in LogReader(recording).view(Wanted(), Moment(10**9)).lines]


def test_a_line_is_broken_where_the_script_s_terminal_broke_it(tmp_path: Path) -> None:
    long = b"x" * (WIDE + 5) + b"\r\n"
    on_terminal = {"terminal": True, "columns": WIDE, "rows": 10}
    assert lines(tmp_path / "a.fwtop", on_terminal, long) == ["x" * WIDE, "x" * 5]
    assert lines(tmp_path / "b.fwtop", {**on_terminal, "terminal": False}, long) == [
        "x" * (WIDE + 5)
    ]


def test_a_display_as_tall_as_the_terminal_overwrites_itself(tmp_path: Path) -> None:
    rows = SCREEN_LINES + 10
    first = b"".join(b"old %d\r\n" % number for number in range(rows - 1))
    again = b"\x1b[%dA" % (rows - 1) + first.replace(b"old", b"new")
    tall = {"terminal": True, "columns": 80, "rows": rows}
    shown = lines(tmp_path / "a.fwtop", tall, first + again)
    assert shown == [f"new {number}" for number in range(rows - 1)]


def test_a_question_is_shown_before_its_line_ends(tmp_path: Path) -> None:
    assert lines(tmp_path / "run.fwtop", {}, b"go on? ") == ["go on?"]


@pytest.mark.parametrize("options", [{}, {"terminal": True}, {"terminal": True, "columns": "80"}])
def test_what_is_not_recorded_is_not_made_up(tmp_path: Path, options: dict[str, Any]) -> None:
    builder = recordings.Builder(tmp_path / "run.fwtop")
    builder._db.execute("UPDATE run SET options = ?", (json.dumps(options),))
    builder.finish()
    with open_recording(builder.path) as recording:
        assert terminal_size(get_run(recording)) == (MAX_COLUMNS, SCREEN_LINES)


Pieces = list[tuple[int, bytes]]
ON_TERMINAL = {"terminal": True, "columns": WIDE, "rows": 10}


def recorded(path: Path, pieces: Pieces) -> Path:
    """A recording with these pieces of output: (stream, data), a second apart."""
    builder = recordings.Builder(path, recordings.Spec(log=False))
    builder._db.execute("UPDATE run SET options = ?", (json.dumps(ON_TERMINAL),))
    at = 0
    for number, (stream, data) in enumerate(pieces):
        at += len(data)
        builder.insert("log", id=at, at_ns=number * recordings.S, stream=stream, data=data)
    builder.finish()
    return path


def shown(path: Path, **wanted: Any) -> list[str]:
    with open_recording(path) as recording:
        view = LogReader(recording).view(Wanted(**wanted), Moment(10**12))
    return [line.text for line in view.lines]


def test_lines_are_broken_by_the_size_that_the_terminal_had_when_they_were_written(
    tmp_path: Path,
) -> None:
    line = b"x" * (WIDE + 10) + b"\r\n"
    pieces = [(1, line), (3, b"10 50\n"), (1, line), (3, b"10 20\n5 35\n"), (1, line), (3, b"?")]
    broken = ["x" * WIDE, "x" * 10, "x" * (WIDE + 10), "x" * 35, "x" * 5]
    assert shown(recorded(tmp_path / "run.fwtop", pieces)) == broken


def test_the_size_is_known_where_only_the_end_of_the_output_is_read(tmp_path: Path) -> None:
    line = b"x" * (WIDE + 10) + b"\r\n"
    many = [(1, line)] * (TAIL_BYTES // len(line) + 1)
    path = recorded(tmp_path / "run.fwtop", [(1, line), (3, b"10 50\n"), *many])
    assert shown(path)[-2:] == ["x" * (WIDE + 10)] * 2
    with open_recording(path) as recording:
        assert log.size(recording) == (len(many) + 1) * len(line)


def test_the_shim_and_the_reader_mean_the_same_stream() -> None:
    assert shim_output.SIZE == log.TERMINAL_SIZE


@pytest.mark.parametrize(
    "data", [b"", b"5", b"5 x", b"-1 5", b"0 0", b"9 " + b"9" * 5000, b"\xff 5"]
)
def test_what_is_no_size_changes_nothing(data: bytes) -> None:
    assert log.parse_size(data) is None


LIBRARY: Pieces = [
    (1, b"own one\r\n"),
    (2, b"I0000 00:00:1.5 7 a.cc:1] x\r\n"),
    (2, b"W0000 00:00:1.5 7 a.cc:2] y\r\n"),
    (1, b"\r 10% | 1/9"),
    (2, b"E0000 00:00:1.5 7 a.cc:3] z\r\n"),
    (1, b"\r 20% | 2/9"),
]


def test_a_librarys_lines_are_left_out_by_level(tmp_path: Path) -> None:
    path = recorded(tmp_path / "run.fwtop", [(3, b"10 99"), *LIBRARY])
    info, warning = (data.decode().strip() for _, data in LIBRARY[1:3])
    error = " 10% | 1/9" + LIBRARY[4][1].decode().strip()
    assert shown(path) == ["own one", info, warning, error, " 20% | 2/9"]
    assert shown(path, log_hides=("info",)) == ["own one", warning, error, " 20% | 2/9"]
    assert shown(path, log_hides=("info", "warning")) == ["own one", error, " 20% | 2/9"]
    assert shown(path, log_hides=LEVELS) == ["own one", " 10% | 1/9", " 20% | 2/9"]
    with open_recording(path) as recording:
        reader = LogReader(recording)
        every = reader.view(Wanted(), Moment(10**12))
        some = reader.view(Wanted(log_hides=LEVELS), Moment(10**12))
        assert (every.hidden, some.hidden) == (0, 2)
        assert reader.view(Wanted(), Moment(10**12)).lines == every.lines
        assert some.hides == LEVELS
