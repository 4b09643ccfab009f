"""Moving a finished recording: plain, still open in a viewer, and to where it cannot go."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fwtop.recorder import statements as sql
from fwtop.recorder import writer as writer_module
from fwtop.recorder.delivery import deliver
from fwtop.recorder.writer import create


def recorded(path: Path) -> None:
    writer = create(path, 0)
    writer.add(sql.MARK, (1, 0, "here", None))
    writer.flush()
    writer.finish("finished")


def marks(path: Path) -> list[tuple[str]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT name FROM marks").fetchall()
    finally:
        connection.close()


def test_plain_file_is_moved(tmp_path: Path) -> None:
    source, target = tmp_path / "a.fwtop", tmp_path / "new" / "b.fwtop"
    recorded(source)
    assert deliver(source, target, plain=True) == (str(target), "")
    assert not source.exists()
    assert marks(target) == [("here",)]


def test_what_a_viewer_keeps_in_the_wal_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LEAVE_WAL_S", 0.1)
    source, target = tmp_path / "a.fwtop", tmp_path / "b.fwtop"
    writer = create(source, 0)
    viewer = sqlite3.connect(source)
    viewer.execute("BEGIN")
    viewer.execute("SELECT * FROM marks").fetchall()
    writer.add(sql.MARK, (1, 0, "here", None))
    writer.flush()
    assert not writer.finish("finished").plain
    assert deliver(source, target, plain=False) == (str(target), "")
    assert marks(target) == [("here",)]
    assert target.read_bytes()[18:20] == b"\x01\x01"
    viewer.close()


def test_place_that_cannot_be_had_leaves_it_where_it_is(tmp_path: Path) -> None:
    source, target = tmp_path / "a.fwtop", tmp_path / "file" / "b.fwtop"
    (tmp_path / "file").write_text("no folder")
    recorded(source)
    where, problem = deliver(source, target, plain=True)
    assert where == str(source)
    assert problem
    assert marks(source) == [("here",)]
