"""The log in the size of the terminal that the script wrote to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fwtop.queries.run import get_run
from fwtop.recording.store import open_recording
from fwtop.tui.readers import LogReader, terminal_size
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
