"""Runs that end in every way: killed parts, taken over, stopped, removed, refused at the start."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fwtop.cli.diagnostics import Code
from tests.cli.commands import FWTOP, PATIENCE_S, Place, alive, wait_until

pytestmark = pytest.mark.timeout(100)

PROBE = """
import json, os, socket, sys, time
sys.path.insert(0, {profilers!r})
from fwtop_profilers import wire

class Probe:
    \"\"\"Speaks to the recorder as a probe does: says Hello again after a loss.\"\"\"
    key = "%d-%d" % (os.getpid(), time.monotonic_ns())
    connection = None
    def __init__(self):
        self.waiting = []
    def hello(self):
        now = time.monotonic_ns()
        return wire.Hello(wire.WIRE_VERSION, self.key, os.getpid(), os.getppid(), now, now,
                          time.time_ns(), "here", sys.argv, sys.executable, "3.11")
    def send(self, message):
        self.waiting.append(message)
        try:
            if self.connection is None:
                self.connection = socket.socket(socket.AF_UNIX)
                self.connection.connect(os.environ["FWTOP_SOCKET"])
                self.connection.sendall(wire.encode(self.hello()))
            while self.waiting:
                self.connection.sendall(wire.encode(self.waiting[0]))
                del self.waiting[0]
        except OSError:
            self.connection = None
    def step(self, index):
        now = time.monotonic_ns()
        self.send(wire.Steps(index, [now - 1000], [1000], {{"forward": [400]}}, [0]))

probe = Probe()
"""
PROFILERS = str(Path(__file__).parents[2] / "profilers")
STEPS_UNTIL_TOLD = (
    PROBE.format(profilers=PROFILERS)
    + """
index = 0
print("ready", flush=True)
while not os.path.exists("go"):
    probe.step(index)
    print("step", index, flush=True)
    open("progress", "w").write(str(index))
    index += 1
    time.sleep(0.005)
probe.send(wire.Goodbye(time.monotonic_ns(), "end"))
print("done", flush=True)
sys.exit(4)
"""
)


def start(place: Place, *words: str) -> subprocess.Popen[bytes]:
    place.script(STEPS_UNTIL_TOLD)
    argv = [*FWTOP, "record", *words, "--python", sys.executable, "script.py"]
    process = place.start(argv, stdout=(place.folder / "out").open("wb"))
    goes_on(place)
    return process


def progress(place: Place) -> int:
    try:
        return int((place.folder / "progress").read_text() or -1)
    except OSError:
        return -1


def goes_on(place: Place) -> None:
    wanted = progress(place) + 30
    wait_until(lambda: progress(place) >= wanted, f"step {wanted}")


def tell(place: Place) -> None:
    (place.folder / "go").touch()


def rows(path: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def log(path: Path) -> bytes:
    return b"".join(data for (data,) in rows(path, "SELECT data FROM log ORDER BY id"))


def test_recording_is_complete_and_plain(place: Place) -> None:
    process = start(place, "-q", "--name", "first", "--tag", "a", "--tag", "b")
    tell(place)
    assert process.wait(PATIENCE_S) == 4
    (path,) = place.recordings
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no WAL, nothing beside it
    assert path.read_bytes()[18:20] == b"\x01\x01"  # of a rollback journal, not WAL
    (run,) = rows(path, "SELECT state, exit_status, exit_signal, name, tags, command FROM run")
    assert run[:5] == ("finished", 4, None, "first", '["a", "b"]')
    assert json.loads(run[5]) == ["script.py"]
    assert log(path) == (place.folder / "out").read_bytes()
    steps = [i for (i,) in rows(path, "SELECT step_index FROM steps ORDER BY 1")]
    assert steps == list(range(progress(place) + 1))
    assert rows(path, "SELECT sum(count) FROM step_rollups") == [(len(steps),)]
    assert rows(path, "SELECT ended_ns IS NOT NULL FROM processes") == [(1,)]
    assert not place.run_folders


def test_recorder_killed_under_record(place: Place) -> None:
    """`record` starts another one; the script goes on, all of its output is in the recording."""
    process = start(place, "-q")
    shim = place.pid("shim")
    for _ in range(2):
        first = place.pid("recorder")
        os.kill(first, signal.SIGKILL)
        goes_on(place)
        wait_until(lambda dead=first: place.pid("recorder") != dead, "another recorder")
        goes_on(place)
    assert alive(shim)
    tell(place)
    assert process.wait(PATIENCE_S) == 4
    (path,) = place.recordings
    assert log(path) == (place.folder / "out").read_bytes()
    assert rows(path, "SELECT state, exit_status FROM run") == [("finished", 4)]
    codes = [code for (code,) in rows(path, "SELECT code FROM notices")]
    assert codes.count("recorder_restarted") == 2
    steps = [i for (i,) in rows(path, "SELECT step_index FROM steps ORDER BY 1")]
    assert steps[-1] == progress(place)
    assert rows(path, "SELECT count(*) FROM processes") == [(1,)]
    assert rows(path, "SELECT sum(count) FROM step_rollups") == [(len(steps),)]
    missing = progress(place) + 1 - len(steps)
    assert missing == 0 or "steps_lost" in codes


def test_everybody_killed_then_attach(place: Place) -> None:
    """Command and recorder gone: the script goes on, and `attach` finishes its recording."""
    process = start(place, "-q")
    process.kill()
    process.wait()
    os.kill(place.pid("recorder"), signal.SIGKILL)
    goes_on(place)
    attach = place.start([*FWTOP, "attach", "--no-viewer"])
    wait_until(lambda: "recorder_restarted" in codes_of_live(place), "the new recorder's notice")
    tell(place)
    _, stderr = attach.communicate(timeout=PATIENCE_S)
    assert attach.returncode == 4, stderr
    (path,) = place.recordings
    assert log(path).endswith(b"done\n")
    assert rows(path, "SELECT state FROM run") == [("finished",)]
    assert not place.run_folders


def codes_of_live(place: Place) -> list[str]:
    path = json.loads((place.run_folder() / "launch.json").read_text())["live_recording"]
    try:
        return [code for (code,) in rows(Path(path), "SELECT code FROM notices")]
    except sqlite3.Error:
        return []


def test_attach_after_the_end(place: Place) -> None:
    """The script ends while nobody records: its end is in exit.json, and attach finds it."""
    process = start(place, "-q")
    process.kill()
    process.wait()
    folder = place.run_folder()
    os.kill(place.pid("recorder"), signal.SIGKILL)
    tell(place)
    wait_until((folder / "exit.json").exists, "exit.json")
    assert place.fwtop("attach", "--no-viewer", "-q").status == 4
    (path,) = place.recordings
    assert log(path).endswith(b"done\n")


def test_script_killed(place: Place) -> None:
    process = start(place, "-q")
    os.kill(place.pid("shim", "script_pid"), signal.SIGKILL)
    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    (path,) = place.recordings
    assert rows(path, "SELECT state, exit_status, exit_signal FROM run") == [("finished", None, 9)]
    assert rows(path, "SELECT count(*) FROM steps")[0][0] > 0


def test_shim_killed(place: Place) -> None:
    """The worst: nobody can tell how the script ended. What is known is kept, and it says so."""
    process = start(place)
    script = place.pid("shim", "script_pid")
    os.kill(place.pid("shim"), signal.SIGKILL)
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == Code.LOST
    assert b"vanished" in stderr
    wait_until(lambda: not alive(script), "the script's end at its broken pipe")
    (path,) = place.recordings
    assert rows(path, "SELECT state, exit_status FROM run") == [("lost", None)]
    assert rows(path, "SELECT count(*) FROM steps")[0][0] > 0


def test_two_runs_at_once(place: Place) -> None:
    place.script("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n", "wait.py")
    argv = [*FWTOP, "record", "-q", "--python", sys.executable, "wait.py"]
    both = [place.start(argv) for _ in range(2)]
    wait_until(lambda: len(place.run_folders) == 2, "two run folders")
    for folder in place.run_folders:
        wait_until((folder / "recorder.json").exists, "two recorders")
    tell(place)
    assert [process.wait(PATIENCE_S) for process in both] == [0, 0]
    assert len(place.recordings) == 2


def test_stop(place: Place) -> None:
    place.script(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(6))\n"
        "print('ready', flush=True)\nwhile True: time.sleep(0.01)\n"
    )
    process = place.start([*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    done = place.fwtop("stop", place.run_folder().name[:20])
    assert (done.status, process.wait(PATIENCE_S)) == (0, 6)
    assert place.fwtop("stop").status == Code.NO_RUN


def test_stop_of_a_stubborn_script(place: Place) -> None:
    place.script(
        "import signal, time\n"
        "for number in (2, 15): signal.signal(number, signal.SIG_IGN)\n"
        "print('ready', flush=True)\nwhile True: time.sleep(0.01)\n"
    )
    process = place.start([*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    refused = place.fwtop("stop", "--timeout", "0.2")
    assert refused.status == Code.CONTROL
    assert b"--kill" in refused.stderr
    assert process.poll() is None
    assert place.fwtop("stop", "--kill", "--timeout", "0.2").status == 0
    assert process.wait(PATIENCE_S) == -signal.SIGKILL


def test_rm(place: Place) -> None:
    process = start(place, "-q")
    run_id = place.run_folder().name
    assert place.fwtop("rm", run_id).status == Code.NO_RUN  # alive
    tell(place)
    process.wait(PATIENCE_S)
    assert place.fwtop("rm", run_id).status == 0
    assert place.recordings == []
    other = place.script("no recording")
    assert place.fwtop("rm", str(other)).status == Code.RECORDING
    assert other.exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root writes everywhere")
def test_unwritable_state_folder_as_a_user(place: Place) -> None:
    place.state.mkdir(mode=0o500)
    done = place.fwtop("record", sys.executable, "-c", "open('ran', 'w')")
    assert done.status == Code.FOLDER
    assert not (place.folder / "ran").exists()


def test_state_folder_that_is_a_file(place: Place) -> None:
    place.state.write_text("in the way")
    done = place.fwtop("record", sys.executable, "-c", "open('ran', 'w')")
    assert done.status == Code.FOLDER
    assert b"XDG_STATE_HOME" in done.stderr
    assert not (place.folder / "ran").exists()
    assert not place.run_folders


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["record", "nothing.py"], Code.TARGET, b"no such file"),
        (["record", "folder"], Code.TARGET, b"__main__.py"),
        (["record", "picture"], Code.TARGET, b"not a script"),
        (["record", "run.sh"], Code.TARGET, b"fwtop -- bash run.sh"),
        (["record", "--python", "/no/python", "ok.py"], Code.TARGET, b"no such interpreter"),
        (["record"], Code.TARGET, b"nothing to run"),
        (["record", "--overhead", "5", "ok.py"], Code.USAGE, b"5%"),
        (["record", "--nonsense", "ok.py"], Code.USAGE, b"--nonsense"),
        (["record", "--step-on", "whim", "ok.py"], Code.USAGE, b"optimizer"),
        (["record", "-o", "ok.py", "ok.py"], Code.FOLDER, b"exists already"),
        (["record", "-o", "no/where.fwtop", "ok.py"], Code.FOLDER, b"mkdir"),
        (["atach"], Code.USAGE, b"fwtop attach"),
        (["--deep", "record", "ok.py"], Code.USAGE, b"fwtop record"),
        (["attach"], Code.NO_RUN, b"no run is alive"),
        (["stop", "2026"], Code.NO_RUN, b"no live run"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(place: Place, words: list[str], code: Code, says: bytes) -> None:
    place.script("", "ok.py")
    (place.folder / "folder").mkdir()
    (place.folder / "picture").write_bytes(b"\x89PNG\0\0")
    place.script("#!/bin/bash\necho hi\n", "run.sh")
    done = place.fwtop(*words)
    assert done.status == code
    assert says in done.stderr
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr
    assert not place.run_folders
    assert not place.recordings


def test_isolated_interpreter_runs_and_is_told(place: Place) -> None:
    done = place.fwtop("record", sys.executable, "-I", "-c", "print('ran')")
    assert (done.status, done.stdout) == (0, b"ran\n")
    assert b"-I ignores PYTHONPATH" in done.stderr


def test_configuration_nearer_wins(place: Place) -> None:
    place.script("", "ok.py")
    (place.folder / "fwtop.toml").write_text('overhead = "3%"\nstep-on = "forward"\ndeep = true\n')
    (place.folder / "config" / "fwtop").mkdir(parents=True)
    (place.folder / "config" / "fwtop" / "config.toml").write_text(
        'overhead = "7%"\ninterval = 5\n'
    )
    environ = {"FWTOP_STEP_ON": "input"}
    words = ["record", "-q", "--python", sys.executable]
    place.fwtop(*words, "--overhead", "0", "ok.py", env=environ)
    place.fwtop(*words, "ok.py", env=environ)
    options = [json.loads(rows(path, "SELECT options FROM run")[0][0]) for path in place.recordings]
    assert {o["overhead_ratio"] for o in options} == {0.0, 0.03}
    assert {(o["step_on"], o["interval_s"], o["deep"]) for o in options} == {("input", 5.0, True)}


def test_configuration_mistakes(place: Place) -> None:
    place.script("", "ok.py")
    (place.folder / "fwtop.toml").write_text("overheat = 1\n")
    done = place.fwtop("record", "ok.py")
    assert done.status == Code.CONFIGURATION
    assert b"overheat" in done.stderr


def test_spooled_recording_arrives(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording that is written elsewhere, for its place is on a network, is moved at the end."""
    place.script(
        "import sys\nfrom fwtop.launch import filesystem\n"
        "filesystem.is_network = lambda path: True\n"
        "from fwtop.cli.main import run\nsys.exit(run(sys.argv[1:]))\n",
        "fwtop_on_network.py",
    )
    argv = [sys.executable, "fwtop_on_network.py", "record", "-q", "-o", "run.fwtop"]
    done = place.run([*argv, sys.executable, "-c", "print('hi')"])
    assert (done.status, done.stdout) == (0, b"hi\n")
    assert log(place.folder / "run.fwtop") == b"hi\n"
    assert not place.run_folders
