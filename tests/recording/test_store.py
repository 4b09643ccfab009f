from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from fwtop.queries import run, steps
from fwtop.recording.schema import ADDED, SCHEMA_VERSION
from fwtop.recording.store import (
    RecordingError,
    create_recording,
    open_recording,
    reopen_for_writing,
)
from fwtop.summary import summarize
from tests.recordings import Builder, Spec, build

SMALL = Spec(steps=60, windows=2)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return build(tmp_path / "run.fwtop", SMALL)


def error_of(path: Path) -> RecordingError:
    """The error of opening and summing up; what it says must name the file."""
    with pytest.raises(RecordingError) as raised, open_recording(path) as recording:
        summarize(recording)
    assert str(path) in str(raised.value)
    return raised.value


def test_a_finished_recording_is_one_plain_file(finished: Path) -> None:
    assert [entry.name for entry in finished.parent.iterdir()] == ["run.fwtop"]
    with open_recording(finished) as recording:
        assert run.get_run(recording).state == "finished"


def test_what_is_missing_a_folder_or_foreign_is_refused(tmp_path: Path) -> None:
    assert "no such file" in str(error_of(tmp_path / "absent.fwtop"))
    assert "folder" in str(error_of(tmp_path))
    foreign = tmp_path / "foreign.fwtop"
    foreign.write_bytes(b"PK\x03\x04 a zip, say")
    assert "not a recording" in str(error_of(foreign))
    empty = tmp_path / "empty.fwtop"
    empty.touch()
    assert "not a recording" in str(error_of(empty))
    database = tmp_path / "other.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE run (id TEXT)")
    connection.close()
    assert "no recording of fwtop's" in str(error_of(database))


def test_a_newer_schema_asks_for_an_upgrade(finished: Path) -> None:
    with sqlite3.connect(finished) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    connection.close()
    error = error_of(finished)
    assert "newer" in str(error)
    assert "upgrade" in error.next


def of_version_1(path: Path) -> Path:
    """The recording as the first version would have written it."""
    with sqlite3.connect(path) as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (name,) in connection.execute(query).fetchall():
            if any(f" {name} (" in tables for tables in ADDED.values()):
                connection.execute(f"DROP TABLE {name}")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    return path


def test_an_older_recording_is_read_as_it_is(finished: Path) -> None:
    with open_recording(finished) as recording:
        newer = summarize(recording)
    before = of_version_1(finished).read_bytes()
    with open_recording(finished) as recording:
        older = summarize(recording)
        for table in ("window_devices", "input_stages", "memory_holders"):
            assert recording.connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert (older.steps, older.operators, older.compile) == (
        newer.steps, newer.operators, newer.compile,
    )  # fmt: skip
    assert newer.kernels.occupancy_ratio is not None
    assert older.kernels.occupancy_ratio is None
    assert older.kernels.busy_ratio == newer.kernels.busy_ratio
    assert finished.read_bytes() == before


def test_a_new_recorder_brings_an_older_recording_up_to_date(finished: Path) -> None:
    reopen_for_writing(of_version_1(finished)).close()
    with sqlite3.connect(finished) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("SELECT count(*) FROM main.input_stages").fetchone() == (0,)
    connection.close()


def test_a_recording_without_a_run_was_abandoned(tmp_path: Path) -> None:
    path = tmp_path / "abandoned.fwtop"
    create_recording(path).close()
    assert "abandoned" in str(error_of(path))


def test_a_table_that_another_version_lacks_is_named(finished: Path) -> None:
    with sqlite3.connect(finished) as connection:
        connection.execute("DROP TABLE step_rollups")
    connection.close()
    error = error_of(finished)
    assert "another version" in str(error)
    assert "step_rollups" in str(error)


@pytest.mark.parametrize("share", [0.002, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_said_to_be_damaged(finished: Path, share: float) -> None:
    whole = finished.read_bytes()
    finished.write_bytes(whole[: int(len(whole) * share)])
    assert error_of(finished).next


def test_flipped_bytes_give_figures_or_an_error_in_words_and_nothing_else(finished: Path) -> None:
    whole = finished.read_bytes()
    refused = 0
    for position in range(100, len(whole), 1021):
        damaged = bytearray(whole)
        damaged[position : position + 8] = bytes(byte ^ 0xA5 for byte in whole[position:][:8])
        finished.write_bytes(damaged)
        try:
            with open_recording(finished) as recording:
                summarize(recording)
        except RecordingError:
            refused += 1
    assert refused, "no damage was noticed at all"


def test_a_value_of_the_wrong_type_is_damage(finished: Path) -> None:
    with sqlite3.connect(finished) as connection:
        connection.execute("UPDATE steps SET duration_ns = 'long' WHERE step_index = 0")
    connection.close()
    assert "duration_ns holds str" in str(error_of(finished))


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE run SET command = \'{"not": "a list"}\'',
        "UPDATE run SET versions = 'no json'",
        f"UPDATE run SET versions = '{'[' * 100_000}'",
        "UPDATE step_rollups SET sketch = x'ff00'",
        "UPDATE step_rollups SET bucket = 'today' WHERE bucket = 0",
        "UPDATE step_rollups SET count = 'many'",
        "UPDATE windows SET step_count = 1.5",
        "UPDATE compile_events SET duration_ns = 9e999",
        "DELETE FROM run",
    ],
)
def test_hostile_content_is_an_error_in_words(finished: Path, change: str) -> None:
    with sqlite3.connect(finished) as connection:
        connection.execute(change)
    connection.close()
    error_of(finished)


def test_a_killed_recorder_leaves_a_readable_recording(tmp_path: Path) -> None:
    path = build(tmp_path / "live.fwtop", SMALL, state="running")
    assert path.with_name("live.fwtop-wal").exists()
    with open_recording(path) as recording:
        assert run.get_run(recording).live
        assert steps.totals(recording).count == 60


def test_a_wal_without_its_index_is_read_all_the_same(tmp_path: Path) -> None:
    build(tmp_path / "live.fwtop", SMALL, state="running")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("live.fwtop", "live.fwtop-wal"):  # the -shm file is not copied, as scp would not
        shutil.copy(tmp_path / name, copy / name)
    with open_recording(copy / "live.fwtop") as recording:
        assert steps.totals(recording).count == 60


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes read-only folders")
def test_a_finished_recording_in_a_read_only_folder_opens(finished: Path) -> None:
    finished.parent.chmod(0o500)
    try:
        with open_recording(finished) as recording:
            assert steps.totals(recording).count == 60
    finally:
        finished.parent.chmod(0o700)


def test_a_reader_sees_what_is_committed_later(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "live.fwtop", SMALL)
    builder.add_steps(10)
    with open_recording(builder.path) as recording:
        before = recording.version()
        assert steps.totals(recording).count == 10
        builder.add_steps(5)
        assert recording.version() != before
        assert steps.totals(recording).count == 15
    builder.close()


def test_a_recording_is_never_overwritten_and_can_be_taken_over(tmp_path: Path) -> None:
    path = build(tmp_path / "live.fwtop", SMALL, state="running")
    with pytest.raises(RecordingError, match="exists already"):
        create_recording(path)
    writer = reopen_for_writing(path)
    writer.execute("UPDATE run SET state = 'lost'")
    writer.close()
    with open_recording(path) as recording:
        assert run.get_run(recording).state == "lost"


def test_a_closed_recording_says_so(finished: Path) -> None:
    recording = open_recording(finished)
    recording.close()
    with pytest.raises(RecordingError, match="closed"):
        run.get_run(recording)
