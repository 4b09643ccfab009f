"""The shim's own failures, and the terminal's size on its way: in a real process."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fwtop.launch.spec import LaunchSpec, write
from fwtop.recorder import shim_client
from fwtop.recorder.output import Chunk, OutputReader
from fwtop.run_folder import RunFolder

PATIENCE_S = 60
PLAIN = "import sys; from fwtop.launch import shim; sys.argv[1:] = {folder!r},; shim.main()"
READS_BADLY = """
import sys
from fwtop.launch import shim
read, calls = shim.Shim.read, []
def broken(self, descriptor):
    calls.append(descriptor)
    if len(calls) in (1, 2):
        raise RuntimeError("broken on purpose")
    read(self, descriptor)
shim.Shim.read = broken
sys.argv[1:] = {folder!r},
shim.main()
"""
REAPS_BADLY = """
import sys
from fwtop.launch import shim
reap = shim.Shim.reap
def broken(self):
    if reap(self):
        raise RuntimeError("broken on purpose")
    return False
shim.Shim.reap = broken
sys.argv[1:] = {folder!r},
shim.main()
"""


class Held:
    """A script under a shim, without a recorder."""

    def __init__(self, path: Path, driver: str, script: str, terminal: bool) -> None:
        self.folder = RunFolder(path)
        spec = LaunchSpec(
            run_id="r", argv=[sys.executable, "-c", script], command=[], cwd="", recording="",
            live_recording="", terminal=terminal,
        )  # fmt: skip
        write(spec, self.folder.launch)
        assert "rows" in asdict(spec)
        self.process = subprocess.Popen(
            [sys.executable, "-c", driver.format(folder=str(path))],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._reader = OutputReader(self.folder)
        self.chunks: list[Chunk] = []

    def said(self) -> bytes:
        self.chunks += self._reader.read()
        return b"".join(chunk.data for chunk in self.chunks if chunk.stream != 3)

    def ask(self, **body: Any) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder.shim_socket))
            connection.sendall(json.dumps(body).encode() + b"\n")

    def ended(self) -> shim_client.Exit:
        found: shim_client.Exit = wait_for(lambda: shim_client.read_exit(self.folder), "exit.json")
        return found


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


@pytest.fixture
def hold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Held]]:
    held: list[Held] = []

    def start(driver: str, script: str, terminal: bool = False) -> Held:
        held.append(Held(tmp_path_factory.mktemp("s"), driver, script, terminal))
        return held[-1]

    yield start
    for one in held:
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("terminal", [False, True])
def test_its_own_failures_are_counted_and_cost_nothing_else(
    hold: Callable[..., Held], terminal: bool
) -> None:
    held = hold(READS_BADLY, "print('all', 'of', 'it'); raise SystemExit(3)", terminal)
    end = held.ended()
    assert end.exit_status == 3
    assert end.failures == 2
    assert "RuntimeError: broken on purpose (broken, line 8)" in end.failure
    assert held.said().split() == [b"all", b"of", b"it"]


def test_a_shim_without_failures_tells_of_none(hold: Callable[..., Held]) -> None:
    end = hold(PLAIN, "print(1)").ended()
    assert (end.failures, end.failure) == (0, "")


def test_a_failure_at_the_scripts_end_does_not_hold_its_end_back(
    hold: Callable[..., Held], tmp_path: Path
) -> None:
    """What the script leaves behind keeps its output open until it is let go."""
    go = tmp_path / "go"
    waits = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {waits!r}])"
    held = hold(REAPS_BADLY, script)
    assert held.ended().failures == 1
    assert held.process.poll() is None, "it goes on draining"
    go.touch()
    held.process.wait(PATIENCE_S)


RESIZED = """
import os, signal
changed = []
signal.signal(signal.SIGWINCH, lambda *_: changed.append(1))
print('ready', flush=True)
while not changed:
    signal.sigtimedwait([], 0.01)
print(tuple(os.get_terminal_size()), flush=True)
"""


def test_another_size_is_told_in_its_place_among_the_output(hold: Callable[..., Held]) -> None:
    held = hold(PLAIN, RESIZED, terminal=True)
    wait_for(lambda: b"ready" in held.said(), "the script")
    held.ask(resize=[24, 80])  # as it is
    held.ask(resize=[33, 101])
    assert held.ended().exit_status == 0
    held.said()
    assert [(chunk.stream, chunk.data) for chunk in held.chunks] == [
        (1, b"ready\r\n"),
        (3, b"33 101\n"),
        (1, b"(101, 33)\r\n"),
    ]
