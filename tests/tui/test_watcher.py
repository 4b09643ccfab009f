"""The thread that reads: what it posts, when it reads, and that it lets go."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message

from fwtop.recording.store import create_recording
from fwtop.run_folder import RunFolder
from fwtop.tui import watcher as watcher_module
from fwtop.tui.messages import Unreadable, Updated
from fwtop.tui.snapshot import SUBJECTS, Snapshot, Wanted
from fwtop.tui.watcher import Watcher
from tests import recordings
from tests.tui.conftest import STARTED_NS


class Inbox:
    """Collects what a watcher posts; waits for what fits."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self.messages: list[Message] = []

    def post(self, message: Message) -> None:
        with self._ready:
            self.messages.append(message)
            self._ready.notify_all()

    def wait(self, fits: Any) -> Any:
        def found() -> Message | None:
            return next((m for m in reversed(self.messages) if fits(m)), None)

        with self._ready:
            assert self._ready.wait_for(lambda: found() is not None, timeout=20), self.messages
            return found()

    def snapshot(self, fits: Any = lambda snapshot: True) -> Snapshot:
        message = self.wait(lambda m: isinstance(m, Updated) and fits(m.snapshot))
        assert isinstance(message, Updated)
        return message.snapshot


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


class Clock:
    """A clock that a test turns."""

    def __init__(self, builder: recordings.Builder) -> None:
        self.builder = builder
        self.extra_ns = 0

    def __call__(self) -> int:
        return STARTED_NS + self.builder.now_ns + self.extra_ns


@pytest.fixture
def start(inbox: Inbox) -> Iterator[Any]:
    started: list[tuple[Watcher, threading.Thread]] = []

    def begin(path: Path, folder: RunFolder | None, **options: Any) -> Watcher:
        watcher = Watcher(path, folder, inbox.post, **options)
        watcher.interval_s = 0.02
        thread = threading.Thread(target=watcher.run)
        thread.start()
        started.append((watcher, thread))
        return watcher

    yield begin
    for watcher, thread in started:
        watcher.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_a_finished_recording_is_read_once(finished: Path, inbox: Inbox, start: Any) -> None:
    watcher = start(finished, None)
    snapshot = inbox.snapshot()
    assert not snapshot.live
    assert snapshot.run.exit_status == 0
    assert all(getattr(snapshot, subject) is not None for subject in SUBJECTS)
    watcher.want(Wanted(subjects=frozenset({"steps"}), columns=33))
    inbox.snapshot(lambda s: s.steps is not None and s.steps.axis.count == 33)
    assert watcher.reads == 2
    watcher.want(Wanted(subjects=frozenset({"steps"}), columns=33))
    assert watcher.reads == 2


def test_what_is_not_seen_is_not_read(finished: Path, inbox: Inbox, start: Any) -> None:
    watcher = start(finished, None)
    watcher.want(Wanted(subjects=frozenset({"host"})))
    snapshot = inbox.snapshot(lambda s: s.steps is None)
    assert snapshot.host is not None
    assert snapshot.operators is snapshot.log is snapshot.gpus is None


def test_what_the_recorder_commits_is_seen(
    live: recordings.Builder, inbox: Inbox, start: Any
) -> None:
    start(live.path, RunFolder(live.path.parent), clock=Clock(live))
    before = inbox.snapshot()
    assert before.live
    assert before.steps is not None
    assert before.operators is not None
    live.add_steps(50)
    live.add_window()
    live.add_output(b"the newest line\r\n")
    count = before.steps.count + 51
    after = inbox.snapshot(
        lambda s: s.steps.count == count and any("newest" in line.text for line in s.log.lines)
    )
    assert after.operators is not None
    assert after.operators.windows == before.operators.windows or before.operators.windows == 1


def test_the_recorder_can_leave_wal_mode_while_a_viewer_watches(
    live: recordings.Builder, inbox: Inbox, start: Any
) -> None:
    start(live.path, RunFolder(live.path.parent), clock=Clock(live))
    inbox.snapshot()
    live._db.execute("UPDATE run SET state = 'finishing', exit_status = 0")
    live.commit()
    inbox.snapshot(lambda s: s.run.state == "finishing")
    live._db.execute("COMMIT")
    live._db.execute("UPDATE run SET state = 'finished', duration_ns = ?", (live.now_ns,))
    live._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    mode = _leave_wal(live._db)
    assert mode == "delete"
    snapshot = inbox.snapshot(lambda s: s.run.state == "finished")
    assert snapshot.run.exit_status == 0
    assert not live.path.with_name("run.fwtop-wal").exists()


def _leave_wal(db: sqlite3.Connection) -> str:
    """As the recorder does: again, for some seconds, while readers let go."""
    for _ in range(200):
        try:
            return str(db.execute("PRAGMA journal_mode=DELETE").fetchone()[0])
        except sqlite3.OperationalError:
            threading.Event().wait(0.05)
    return "wal"


def test_a_recording_that_was_moved_at_its_end_is_found(
    live: recordings.Builder, inbox: Inbox, start: Any, tmp_path: Path
) -> None:
    final = tmp_path / "there.fwtop"
    folder = RunFolder(tmp_path)
    folder.launch.write_text(
        json.dumps(
            {"run_id": "r", "argv": ["x"], "command": ["x"], "cwd": "/", "terminal": True,
             "recording": str(final), "live_recording": str(live.path)}
        )
    )  # fmt: skip
    start(live.path, folder, clock=Clock(live))
    inbox.snapshot()
    live._db.execute("UPDATE run SET state = 'finishing'")
    live.commit()
    inbox.snapshot(lambda s: s.run.state == "finishing")
    live._db.execute("UPDATE run SET state = 'finished', exit_status = 3")
    live._db.execute("COMMIT")
    live._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert _leave_wal(live._db) == "delete"
    live._db.close()
    live.path.rename(final)
    assert inbox.snapshot(lambda s: s.run.state == "finished").run.exit_status == 3


def test_a_recorder_that_died_is_missed_and_one_that_is_silent_is_not(
    live: recordings.Builder,
    inbox: Inbox,
    start: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(live)
    folder = RunFolder(tmp_path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(folder.control_socket))
    server.listen()
    asked = threading.Event()

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(b'{"pid": 1, "state": "running"}\n')
                asked.set()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    start(live.path, folder, clock=clock)
    inbox.snapshot()
    clock.extra_ns = 2 * watcher_module.QUIET_NS
    assert asked.wait(20), "a silent recorder is asked whether it lives"
    inbox.snapshot(lambda s: s.moment.now_ns > watcher_module.QUIET_NS)
    assert not inbox.snapshot().recorder_gone
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    inbox.snapshot(lambda s: s.recorder_gone)
    live.add_steps(1)  # another recorder took over
    inbox.snapshot(lambda s: not s.recorder_gone)


def test_a_recording_of_a_run_that_saw_nothing(tmp_path: Path, inbox: Inbox, start: Any) -> None:
    path = tmp_path / "empty.fwtop"
    db = create_recording(path)
    db.execute(
        "INSERT INTO run (id, command, cwd, host, fwtop_version, started_unix_ns,"
        " started_monotonic_ns, state) VALUES ('r', '[\"x\"]', '/', 'h', '0', 0, 0, 'running')"
    )
    start(path, None)
    snapshot = inbox.snapshot()
    assert snapshot.steps is not None
    assert snapshot.steps.count == 0
    assert snapshot.moment.now_ns == 0
    assert not snapshot.live, "nobody writes it: it is not watched live"
    db.close()


def test_a_damaged_part_is_told_and_the_rest_is_shown(
    tmp_path: Path, inbox: Inbox, start: Any
) -> None:
    path = recordings.build(tmp_path / "run.fwtop", steps=50)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE host_samples")
    start(path, None)
    snapshot = inbox.snapshot()
    assert "host" in snapshot.failures
    assert snapshot.steps is not None


def test_a_recording_that_vanished_is_told_and_looked_for_again(
    live: recordings.Builder, inbox: Inbox, start: Any, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.fwtop"
    start(missing, None)
    message = inbox.wait(lambda m: isinstance(m, Unreadable))
    assert "missing.fwtop" in message.text
    recordings.build(missing, steps=20)
    assert inbox.snapshot().run.exit_status == 0
