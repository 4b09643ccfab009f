"""Real `fwtop` processes for tests, on pipes or on a terminal, with places of their own."""

from __future__ import annotations

import contextlib
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
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fwtop.run_folder import RunFolder

PATIENCE_S = 60.0
FWTOP = [sys.executable, "-m", "fwtop"]


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition`; an AssertionError that names `what` if none comes."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE_S} s in vain for {what}")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The JSON on stdout."""
        body: dict[str, Any] = json.loads(self.stdout)
        return body


class Place:
    """A folder for scripts, a state folder and a temporary folder with a short path."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary
        self.state = folder / "state"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FWTOP_")}
        for name in ("PYTHONPATH", "VIRTUAL_ENV", "CONDA_PREFIX"):
            kept.pop(name, None)
        self.environ = {
            **kept,
            "XDG_STATE_HOME": str(self.state),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "TMPDIR": str(temporary),
        }

    def script(self, text: str, name: str = "script.py") -> Path:
        """Write a script."""
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start any command here."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        environ = {**self.environ, **options.pop("env", {})}
        return subprocess.Popen(argv, cwd=self.folder, env=environ, **options)

    def run(self, argv: list[str], input: bytes | None = None, **options: Any) -> Done:
        """Run any command here to its end."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(argv, **options)
        stdout, stderr = process.communicate(input, timeout=PATIENCE_S)
        return Done(process.returncode, stdout, stderr)

    def fwtop(self, *words: str, **options: Any) -> Done:
        """Run fwtop here to its end."""
        return self.run([*FWTOP, *words], **options)

    @property
    def recordings(self) -> list[Path]:
        """The finished recordings of the state folder."""
        return sorted((self.state / "fwtop").glob("*.fwtop"))

    @property
    def run_folders(self) -> list[Path]:
        """The folders of live runs."""
        root = self.temporary / f"fwtop-{os.getuid()}"
        return sorted(root.iterdir()) if root.exists() else []

    def run_folder(self) -> Path:
        """The folder of the one live run, once its recorder is in charge."""
        wait_until(
            lambda: self.run_folders and (self.run_folders[0] / "recorder.json").exists(),
            "a recorder in charge",
        )
        (folder,) = self.run_folders
        return folder

    def pid(self, who: str, key: str = "pid") -> int:
        """A pid from recorder.json or shim.json."""
        body = json.loads((self.run_folder() / f"{who}.json").read_text())
        return int(body[key])

    def clean(self) -> None:
        """Whatever the test's outcome, nothing of it runs on."""
        for folder in self.run_folders:
            for name, key in (
                ("recorder", "pid"), ("shim", "script_pid"), ("shim", "pid"),
            ):  # fmt: skip
                with contextlib.suppress(OSError, ValueError, KeyError):
                    pid = json.loads((folder / f"{name}.json").read_text())[key]
                    os.kill(pid, signal.SIGKILL)
            RunFolder(folder).remove()  # the windows' folder is elsewhere


class Terminal:
    """A command on a pseudo-terminal of its own, as a login shell would start it."""

    def __init__(self, place: Place, argv: list[str], rows: int = 33, columns: int = 99) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (rows, columns))
        self.screen = b""

        def lead() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = place.start(argv, stdin=slave, stdout=slave, stderr=slave, preexec_fn=lead)
        os.close(slave)

    def read(self) -> bool:
        """Take in what is on the screen; False once everybody has let go of the terminal."""
        if select.select([self.master], [], [], 0.05)[0]:
            try:
                self.screen += os.read(self.master, 65536)
            except OSError:
                return False
        return True

    def shows(self, text: bytes) -> None:
        """Wait for text."""
        try:
            wait_until(lambda: self.read() and text in self.screen, repr(text))
        except AssertionError as error:
            raise AssertionError(f"{error} in {self.screen!r}") from None

    def type(self, data: bytes) -> None:
        """Press keys."""
        os.write(self.master, data)

    def end(self) -> int:
        """Wait for the end; the exit status."""
        wait_until(lambda: not self.read() or self.process.poll() is not None, "the command's end")
        while self.read() and select.select([self.master], [], [], 0)[0]:
            pass
        status = self.process.wait(PATIENCE_S)
        os.close(self.master)
        return status


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


@contextlib.contextmanager
def place(folder: Path) -> Iterator[Place]:
    """A place that is tidied up."""
    with tempfile.TemporaryDirectory(prefix="fw", dir="/tmp", ignore_cleanup_errors=True) as short:
        made = Place(folder, Path(short))
        try:
            yield made
        finally:
            made.clean()
