"""A run that is alive, for tests that break something of it: started, watched, told to end."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.processes.both_ways import FWTOP, SCRIPTS, Ended, environment, finish, start

PATIENCE_S = 90


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`; an AssertionError that names `what` if none comes."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE_S} s in vain for {what}")


class LiveRun:
    """`trains_until_told.py` under fwtop; `stop` tells it to end."""

    def __init__(self, folder: Path, *options: str, script: str = "trains_until_told.py") -> None:
        self.folder = folder
        self.path = folder / "run.fwtop"
        self.stop_file = folder / "stop"
        self.progress_file = folder / "progress"
        self.short = tempfile.TemporaryDirectory(prefix="fw", dir="/tmp")
        self.environ = environment(folder, TMPDIR=self.short.name)
        self.target = [str(SCRIPTS / script), str(self.stop_file), str(self.progress_file)]
        self.options = ["-o", str(self.path), "--python", sys.executable, *options]
        self.process: subprocess.Popen[bytes] | None = None
        self.screen = b""
        self.term = "xterm-256color"

    def record(self) -> LiveRun:
        """Start it without a terminal."""
        self.process = start([FWTOP, "record", *self.options, *self.target], env=self.environ)
        return self

    def on_terminal(self, *words: str) -> LiveRun:
        """Start `fwtop WORDS… OPTIONS TARGET…` on a terminal of its own, as a login shell would."""
        return self.on_terminal_as([FWTOP, *words, *self.options, *self.target])

    def on_terminal_as(self, argv: list[str]) -> LiveRun:
        """Start any fwtop command on a terminal of its own."""
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 120))

        def lead_session() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=lead_session,
            env={**self.environ, "TERM": self.term},
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read_screen, daemon=True)
        self._closing = threading.Event()
        self._reader.start()
        return self

    def _read_screen(self) -> None:
        while not self._closing.is_set():
            try:
                if select.select([self.master], [], [], 0.1)[0]:
                    self.screen += os.read(self.master, 65536)
            except OSError:
                return

    def hang_up(self) -> None:
        """Close the terminal, as a lost SSH connection does."""
        self._closing.set()
        self._reader.join()
        os.close(self.master)

    def steps(self) -> int:
        """How many steps the script has done."""
        try:
            return int(self.progress_file.read_text())
        except (OSError, ValueError):
            return 0

    def goes_on(self, steps: int = 100) -> None:
        """Wait for that many more steps than now."""
        wanted = self.steps() + steps
        wait_until(lambda: self.steps() >= wanted, f"step {wanted}")

    @property
    def run_folder(self) -> Path:
        """The run's folder."""
        (path,) = (Path(self.short.name) / f"fwtop-{os.getuid()}").glob("*")
        return path

    def told(self, name: str) -> dict[str, Any]:
        """recorder.json or shim.json."""
        body: dict[str, Any] = json.loads((self.run_folder / f"{name}.json").read_text())
        return body

    def kill_recorder(self) -> int:
        """SIGKILL it; its pid, once it is gone."""
        pid: int = self.told("recorder")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not alive(pid), "the recorder's end")
        return pid

    def stop(self) -> None:
        """Tell the script to end."""
        self.stop_file.touch()

    def result(self) -> dict[str, Any]:
        """What the script says of itself when it has ended."""
        path = self.progress_file.with_suffix(".result")
        wait_until(path.exists, "the script's end")
        body: dict[str, Any] = json.loads(path.read_text())
        return body

    def ended(self) -> Ended:
        """Wait for the command's end."""
        assert self.process is not None
        return finish(self.process)

    def recorded(self) -> None:
        """Wait until the recorder has finished the recording and tidied up."""
        root = Path(self.short.name) / f"fwtop-{os.getuid()}"
        wait_until(lambda: not list(root.glob("*")), "the run folder's removal")

    def clean(self) -> None:
        """Whatever the test's outcome: nothing of it runs on."""
        self.stop()
        for name in ("shim", "recorder"):
            try:
                body = self.told(name)
            except (OSError, ValueError):
                continue
            for pid in (body.get("script_pid"), body["pid"]):
                if pid is not None and alive(pid):
                    os.kill(pid, signal.SIGKILL)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.short.cleanup()


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
