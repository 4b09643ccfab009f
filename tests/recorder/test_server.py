"""A real recorder against probes and viewers that lie, flood, stall and vanish."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fwtop import control
from fwtop_profilers import wire
from tests.cli.commands import FWTOP, PATIENCE_S, Place, wait_until

pytestmark = pytest.mark.timeout(100)
WAITS = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"


class Run:
    """A script that waits, under a recorder."""

    def __init__(self, place: Place) -> None:
        place.script(WAITS, "wait.py")
        self.place = place
        argv = [*FWTOP, "record", "-q", "--python", sys.executable, "wait.py"]
        self.process = place.start(argv)
        self.folder = place.run_folder()
        self.recorder = place.pid("recorder")
        launch = json.loads((self.folder / "launch.json").read_text())
        self.path = Path(launch["live_recording"])

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.folder / "probe.sock"))
        return connection

    def probe(self, pid: int = 1) -> socket.socket:
        connection = self.connect()
        now = time.monotonic_ns()
        hello = wire.Hello(
            wire.WIRE_VERSION, f"{pid}-{now}", pid, 0, now, now, time.time_ns(), "host", ["x"],
            "python", "3.11", rank=pid,
        )  # fmt: skip
        connection.sendall(wire.encode(hello))
        return connection

    def rows(self, statement: str) -> list[Any]:
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def wait_for(self, statement: str) -> list[Any]:
        found: list[Any] = wait_until(lambda: self.rows(statement), statement)
        return found

    def end(self) -> int:
        (self.place.folder / "go").touch()
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def run(place: Place) -> Run:
    return Run(place)


def steps(first: int, count: int = 1) -> wire.Steps:
    now = time.monotonic_ns()
    return wire.Steps(first, [now + n for n in range(count)], [1000] * count, {}, [0] * count)


HOSTILE = {
    "no JSON": b"GET / HTTP/1.1\r\n\r\n",
    "no hello": wire.encode(steps(0)),
    "unknown": b'{"type":"Launch","body":{}}\n',
    "array": b"[1,2,3]\n",
    "deep": b"[" * 100_000 + b"\n",
    "binary": os.urandom(5000) + b"\n",
    "null": b"null\n",
    "endless": b"x" * (wire.MAX_LINE_BYTES + 5000),
    "newer": b'{"type":"Hello","body":{"wire_version":99}}\n',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_connection_is_dropped_and_noted(run: Run, data: bytes) -> None:
    good = run.probe()
    hostile = run.connect()
    try:
        hostile.sendall(data)
    except OSError:
        pass
    hostile.settimeout(PATIENCE_S)
    try:
        assert hostile.recv(100) == b""  # the recorder has closed it
    except ConnectionResetError:
        pass
    run.wait_for("SELECT 1 FROM notices WHERE code = 'bad_message'")
    good.sendall(wire.encode(steps(0, 5)))
    run.wait_for("SELECT 1 FROM steps WHERE step_index = 4")
    assert run.end() == 0


def test_bad_messages_of_a_known_probe(run: Run) -> None:
    """A few are noted and skipped, many end the connection; what is good is kept."""
    probe = run.probe()
    lines = [
        b'{"type":"Steps","body":{"first_index":0,"start_ns":[1],"duration_ns":[1,2],'
        b'"phases":{},"flags":[0]}}\n',
        b'{"type":"Memory","body":{"at_ns":"yesterday"}}\n',
        b'{"type":"Mark","body":{"at_ns":9999999999999999999999,"name":"x","value":null}}\n',
        b'{"type":"Window","body":{}}\n',
        wire.encode(steps(0, 3)),
    ]
    probe.sendall(b"".join(lines))
    run.wait_for("SELECT 1 FROM steps WHERE step_index = 2")
    probe.sendall(b"nonsense\n" * 100)
    probe.settimeout(PATIENCE_S)
    try:
        assert probe.recv(100) == b""
    except ConnectionResetError:
        pass
    assert run.end() == 0


def test_window_files_outside_of_their_folder_are_not_touched(run: Run, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    windows = wait_until(
        lambda: (
            next(iter(Path("/dev/shm").glob(f"fwtop-*/{run.folder.name}")), None)
            or run.folder / "windows"
        ),
        "the windows' folder",
    )
    (windows / "link").symlink_to(precious)
    garbage = windows / "garbage.json"
    garbage.write_text("{ no trace")
    probe = run.probe()
    for number, path in enumerate((precious, windows / "link", garbage, windows / "absent")):
        probe.sendall(
            wire.encode(
                wire.Window(
                    f"w{number}", str(path), "kineto", False, 0, 1, 10, 20, 0, 0, 1, 1, 1, None,
                    "plain", 4,
                )
            )
        )  # fmt: skip
    rows = wait_until(
        lambda: len(found := run.rows("SELECT state, note FROM windows")) == 4 and found,
        "four windows",
    )
    assert {state for state, _ in rows} == {"failed"}
    assert all(note for _, note in rows)
    assert precious.read_text() == "mine"
    assert not garbage.exists()
    assert run.end() == 0


def test_probe_that_reads_nothing_does_not_hold_anybody_up(run: Run) -> None:
    run.probe()
    for _ in range(3000):
        control.ask(run.folder / "control.sock", control.CaptureWindow(), timeout_s=PATIENCE_S)
    assert run.end() == 0


def test_requests_of_viewers(run: Run) -> None:
    place = run.folder / "control.sock"
    probe = run.probe()
    probe.sendall(wire.encode(steps(0, 7)))
    ping = wait_until(
        lambda: (a := control.ask(place, control.Ping()))["steps"] == 7 and a, "seven steps"
    )
    assert (ping["pid"], ping["state"], ping["processes"]) == (run.recorder, "running", 1)
    assert control.ask(place, control.CaptureWindow(True, 2)) == {"processes": 1}
    assert control.ask(place, control.SetOverhead(0.05)) == {"processes": 1}
    lines = probe.makefile("rb")
    assert wire.decode_to_probe(lines.readline()) == wire.Capture(True, 2)
    assert wire.decode_to_probe(lines.readline()) == wire.SetBudget(0.05)
    late = run.probe(2).makefile("rb")
    assert wire.decode_to_probe(late.readline()) == wire.SetBudget(0.05)
    control.ask(place, control.PlaceMark("here"))
    assert run.wait_for("SELECT name FROM marks") == [("here",)]
    for wrong in (b"{}\n", b"no\n", b'{"request":"overhead","ratio":7}\n'):
        with socket.socket(socket.AF_UNIX) as viewer:
            viewer.connect(str(place))
            viewer.sendall(wrong)
            assert b"error" in viewer.makefile("rb").readline()
    control.ask(place, control.SendSignal(signal.SIGTERM))
    assert run.process.wait(PATIENCE_S) == -signal.SIGTERM


def test_process_that_stays_after_the_script(run: Run) -> None:
    """Something that still speaks after the script's end is waited for, but not for ever."""
    probe = run.probe()
    probe.sendall(wire.encode(steps(0)))
    run.wait_for("SELECT 1 FROM steps")
    began = time.monotonic()
    assert run.end() == 0
    assert time.monotonic() - began < 30
    assert run.rows("SELECT state FROM run") == [("finished",)]


def test_full_disk_under_a_live_run(run: Run) -> None:
    """No file of the recorder may grow: training goes on, and all is there when there is room."""
    probe = run.probe()
    probe.sendall(wire.encode(steps(0, 10)))
    run.wait_for("SELECT 1 FROM steps")
    if not hasattr(resource, "prlimit"):
        pytest.skip("needs prlimit")
    before = resource.prlimit(run.recorder, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    for first in range(10, 5010, 100):
        probe.sendall(wire.encode(steps(first, 100)))
    wait_until(
        lambda: control.ask(run.folder / "control.sock", control.Ping())["cannot_write"],
        "a failure to write",
    )
    assert run.process.poll() is None
    time_of_trouble = run.rows("SELECT count(*) FROM steps")
    assert time_of_trouble[0][0] < 5010
    resource.prlimit(run.recorder, resource.RLIMIT_FSIZE, before)
    run.wait_for("SELECT 1 FROM steps WHERE step_index = 5009")
    codes = [code for (code,) in run.wait_for("SELECT code FROM notices")]
    assert "cannot_write" in codes
    assert run.end() == 0
    assert run.rows("SELECT count(*) FROM steps") == [(5010,)]


def test_recorder_stays_out_of_the_way(run: Run) -> None:
    """A session of its own, and a lower priority than the script's."""
    text = Path(f"/proc/{run.recorder}/stat").read_text().rpartition(")")[2].split()
    assert int(text[3]) == run.recorder  # leads its session
    assert int(text[16]) == os.nice(0) + 5
    assert run.end() == 0
