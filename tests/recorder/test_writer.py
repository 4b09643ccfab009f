"""The writer on a full disk, with impossible rows, and its rollups."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from fwtop.analysis.results import OperatorFigures, TemporalBreakdown, WindowFigures
from fwtop.analysis.sketch import Sketch
from fwtop.recorder import statements as sql
from fwtop.recorder import writer as writer_module
from fwtop.recorder.traced import DecodedWindow
from fwtop.recorder.writer import Writer, create


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.fwtop"


def step(index: int, process: int = 1, start: int | None = None) -> tuple[object, ...]:
    at = index * 1_000_000_000 if start is None else start
    return (process, index, at, 1000 + index, 100, None, 400, 300, None, index % 2, 32)


def fill_the_disk(writer: Writer) -> None:
    """SQLite may not add a page any more, and says SQLITE_FULL as on a full disk."""
    pages = writer.connection.execute("PRAGMA page_count").fetchone()[0]
    writer.connection.execute(f"PRAGMA max_page_count={pages}")


def make_room(writer: Writer) -> None:
    writer.connection.execute("PRAGMA max_page_count=1000000")


def count(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    number: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return number


def test_full_disk_loses_nothing_that_fits_in_memory(path: Path) -> None:
    writer = create(path, 1 << 20)
    fill_the_disk(writer)
    for index in range(3000):
        writer.add_steps([step(index)])
    assert not writer.flush(force=True)
    assert "full" in (writer.failure or "")
    assert not writer.flush(force=True)
    make_room(writer)
    assert writer.flush(force=True)
    assert (writer.failure, writer.rows_lost) == (None, 0)
    assert count(path, "steps") == 3000
    rollups = sqlite3.connect(path).execute("SELECT sum(count), count(*) FROM step_rollups")
    assert rollups.fetchone() == (3000, 300)


def test_full_disk_keeps_memory_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MAX_PENDING_ROWS", 500)
    writer = create(path, 1 << 20)
    fill_the_disk(writer)
    for index in range(5000):
        writer.add(sql.STEP, step(index))
        writer.flush()
        assert writer.pending <= 501
    make_room(writer)
    assert writer.flush(force=True)
    assert count(path, "steps") + writer.rows_lost == 5000
    newest = sqlite3.connect(path).execute("SELECT max(step_index) FROM steps").fetchone()
    assert newest == (4999,)


def test_impossible_rows_do_not_cost_the_others(path: Path) -> None:
    writer = create(path, 1 << 20)
    writer.add(sql.STEP, step(0), (1, 1, 1 << 70, *step(1)[3:]), step(2))
    writer.add(sql.MARK, (1, 0, "lone surrogate \ud800", None), (1, 0, "good", None))
    assert writer.flush()
    assert count(path, "steps") == 2
    assert count(path, "marks") == 1
    assert writer.bad_rows == 2


def test_rollup_of_a_late_step_is_loaded_again(path: Path) -> None:
    writer = create(path, 1 << 20)
    for index in range(1000):  # a bucket each
        writer.add_steps([step(index, start=index * 10_000_000_000)])
        writer.flush()
    writer.add_steps([step(1000, start=5)])
    writer.flush()
    row = (
        sqlite3.connect(path)
        .execute(
            "SELECT count, duration_sum_ns, input_sum_ns, h2d_sum_ns, samples_sum, flagged, sketch "
            "FROM step_rollups WHERE bucket = 0"
        )
        .fetchone()
    )
    assert row[:6] == (2, 3000, 200, None, 64, 0)
    assert Sketch.from_bytes(row[6]).count == 2


def window(number: int, size: int, deep: bool = False) -> DecodedWindow:
    figures = WindowFigures(
        10, (OperatorFigures("aten::mm", "matmul", "forward", "cpu", 3, 30, 40),), (), (),
        TemporalBreakdown(),
    )  # fmt: skip
    row = (
        number, 1, "kineto", int(deep), "plain", None, 0, 1, 0, 1, 5, None, 1, 10, size, "decoded",
        None, *[None] * 8,
    )  # fmt: skip
    return DecodedWindow(row, figures, b"t" * size)


def test_traces_are_kept_within_their_budget_deep_ones_longest(path: Path) -> None:
    writer = create(path, 1000)
    writer.add_window(window(1, 300, deep=True))
    for number in range(2, 8):
        writer.add_window(window(number, 300))
        assert writer.flush()
    writer.add_window(window(9, 2000))  # larger than all of the budget
    assert writer.flush()
    kept = sqlite3.connect(path).execute("SELECT window_id FROM window_traces ORDER BY 1")
    assert [number for (number,) in kept] == [1, 6, 7]
    assert count(path, "windows") == 8
    assert count(path, "operator_stats") == 8
    assert count(path, "operator_names") == 1


def test_finished_file_is_plain(path: Path) -> None:
    writer = create(path, 1000)
    writer.add_steps([step(0)])
    writer.flush()
    assert writer.finish("finished").plain
    assert [entry.name for entry in path.parent.iterdir()] == ["run.fwtop"]


def test_reader_that_stays_keeps_it_in_wal_mode(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LEAVE_WAL_S", 0.2)
    writer = create(path, 1000)
    writer.add_steps([step(0)])
    writer.flush()
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM steps").fetchone()
    assert not writer.finish("finished").plain
    assert reader.execute("SELECT count(*) FROM steps").fetchone() == (1,)
    reader.close()
    assert count(path, "steps") == 1


def test_a_process_is_there_before_what_is_said_of_it(path: Path) -> None:
    writer = create(path, 1 << 20)
    for process in (1, 2):
        row = (process, f"key-{process}", 7, 1, "[]", "", "", "", None, None, None, None, 0)
        writer.add(sql.PROCESS, row)
        writer.add(sql.PROCESS_STEP_SOURCE, ("optimizer", "", process))
        if process == 1:
            writer.flush(force=True)
            writer.add(sql.PROCESS_STEP_SOURCE, ("backward", "", 1))  # before the second's Hello
    assert writer.flush(force=True)
    rows = sqlite3.connect(path).execute("SELECT step_source FROM processes ORDER BY id")
    assert rows.fetchall() == [("backward",), ("optimizer",)]


def test_recording_that_somebody_removed_ends_without_an_exception(path: Path) -> None:
    writer = create(path, 1000)
    writer.add_steps([step(0)])
    writer.flush()
    for part in path.parent.iterdir():
        part.unlink()
    assert not writer.finish("finished").stored
