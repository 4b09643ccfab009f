from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from fwtop.queries.run import get_run
from fwtop.recording.labels import write_labels
from fwtop.recording.store import RecordingError, open_recording
from tests.recordings import Builder, Spec, build


def labels_of(path: Path) -> tuple[str | None, tuple[str, ...]]:
    with open_recording(path) as recording:
        run = get_run(recording)
    return run.name, run.tags


def test_name_and_tags_are_replaced_and_nothing_else_changes(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=40)
    with open_recording(path) as recording:
        before = get_run(recording)
    write_labels(path, "baseline 数", ["a", "b"])
    with open_recording(path) as recording:
        after = get_run(recording)
    assert (after.name, after.tags) == ("baseline 数", ("a", "b"))
    for field in ("id", "command", "state", "duration_ns", "versions", "options"):
        assert getattr(after, field) == getattr(before, field)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.fwtop"], "one plain file"
    write_labels(path, None, [])
    assert labels_of(path) == (None, ())


def test_a_recording_whose_recorder_died_keeps_what_is_in_its_wal(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=40, state="running")
    assert path.with_name("run.fwtop-wal").exists()
    write_labels(path, "killed", ["x"])
    assert labels_of(path) == ("killed", ("x",))
    with open_recording(path) as recording:
        count = recording.connection.execute("SELECT count(*) FROM steps").fetchone()[0]
    assert count >= 40


def test_what_somebody_else_writes_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fwtop.recording.labels.BUSY_MS", 1)
    builder = Builder(tmp_path / "run.fwtop", Spec(state="running"))
    builder.insert("marks", process_id=1, at_ns=0, name="held", value=None)
    with pytest.raises(RecordingError, match="cannot be written") as busy:
        write_labels(builder.path, "mine", [])
    assert "try again" in busy.value.next
    builder.commit()
    write_labels_by = labels_of(builder.path)
    assert write_labels_by == (None, ())
    builder._db.close()


@pytest.mark.parametrize("content", [b"", b"no recording", b"SQLite format 3\0" + bytes(2000)])
def test_damaged_files_stay_as_they_are(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.fwtop"
    path.write_bytes(content)
    with pytest.raises(RecordingError):
        write_labels(path, "mine", [])
    assert path.read_bytes() == content


def test_a_trigger_never_runs(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=20)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TRIGGER t AFTER UPDATE ON run BEGIN DELETE FROM steps; END")
    connection.close()
    with pytest.raises(RecordingError, match="triggers"):
        write_labels(path, "mine", [])
    with open_recording(path) as recording:
        assert recording.connection.execute("SELECT count(*) FROM steps").fetchone()[0] >= 20


def test_a_read_only_place_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build(tmp_path / "run.fwtop", steps=20)
    real = os.access
    # As for a user without the permission: root, who may run the tests, has every one.
    monkeypatch.setattr(
        os, "access", lambda where, mode: where != tmp_path.resolve() and real(where, mode)
    )
    with pytest.raises(RecordingError, match="read-only") as refused:
        write_labels(path, "mine", [])
    assert "copy" in refused.value.next
    assert labels_of(path) == (None, ())
