"""Following a run without the viewer, from its start (or an attach) to its end.

Owns what stands between the user's terminal and the script's: the terminal's mode, what is typed,
signals, window size. The script's output does not come this way: the shim copies it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from fwtop.launch.recorder_process import Finished, RecorderError, RecorderProcess
from fwtop.run_folder import RunFolder

SUSPEND = b"\x1a"
TICK_S = 1.0
MAX_RESTARTS = 3
RECORDER_TIMEOUT_S = 60.0
"""After the script's end, for the recorder to finish the recording."""
TO_GROUP = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends these to everybody in the foreground."""
TO_SCRIPT = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Ending:
    """How following ended."""

    finished: Finished | None
    """The recorder's last words; None where there were none."""
    exit_status: int | None
    exit_signal: int | None
    detached: bool = False


class Follower:
    """Waits for a run's end; `tick` is called about once a second meanwhile."""

    def __init__(
        self,
        folder: RunFolder,
        recorder: RecorderProcess,
        signals: Signals,
        keyboard: Keyboard | None,
        tick: Callable[[Callable[[str], None]], None],
    ) -> None:
        self._folder = folder
        self._recorder: RecorderProcess | None = recorder
        self._tick = tick
        self._shim = folder.connect_shim()
        self._signals = signals
        self._keyboard = keyboard
        self._restarts = 0
        self._hangup = False
        self._size = shutil.get_terminal_size()

    def follow(self) -> Ending:
        """Until the end, or until the terminal hangs up."""
        last_tick = time.monotonic()
        script_ended: float | None = None
        while True:
            readable = self._wait()
            self._pass_on(self._signals)
            if self._hangup:
                return Ending(None, None, None, detached=True)
            if self._recorder is not None and self._recorder.descriptor in readable:
                self._hear()
            if self._recorder is not None and self._recorder.finished is not None:
                done = self._recorder.finished
                return Ending(done, done.exit_status, done.exit_signal)
            if self._shim is not None and self._shim.fileno() in readable:
                self._shim_said()
            if self._shim is None:
                script_ended = script_ended or time.monotonic()
                late = time.monotonic() - script_ended > RECORDER_TIMEOUT_S
                if self._recorder is None or late:
                    return self._without_recorder()
            if self._keyboard is not None and self._keyboard.descriptor in readable:
                self._typed(self._keyboard)
            if time.monotonic() - last_tick >= TICK_S:
                last_tick = time.monotonic()
                self._resize()
                self._tick(self._say)

    def _wait(self) -> set[int]:
        watched = [self._signals.descriptor]
        if self._recorder is not None:
            watched.append(self._recorder.descriptor)
        if self._shim is not None:
            watched.append(self._shim.fileno())
        if self._keyboard is not None and self._shim is not None and self._keyboard.take():
            watched.append(self._keyboard.descriptor)
        return set(select.select(watched, [], [], TICK_S)[0])

    def _say(self, text: str) -> None:
        raw = self._keyboard is not None and self._keyboard.raw
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"fwtop: {text}" + ("\r\n" if raw else "\n"))
            sys.stderr.flush()

    # --- the recorder --------------------------------------------------------------------------

    def _hear(self) -> None:
        assert self._recorder is not None
        try:
            self._recorder.hear()
        except RecorderError as error:
            self._say(f"{error}; {error.next}" if error.next else str(error))
        if self._recorder.gone and self._recorder.finished is None:
            self._recorder.let_go()
            self._recorder = None
            self._restart()

    def _restart(self) -> None:
        """Another recorder for the one that died; the script goes on all the while."""
        if self._restarts >= MAX_RESTARTS or not self._folder.path.exists():
            return
        self._restarts += 1
        self._say("the recorder died; another one takes over")
        try:
            recorder = RecorderProcess(resume=True)
            recorder.begin(self._folder)
            self._recorder = recorder
        except (OSError, RecorderError) as error:
            self._say(f"it cannot be started: {error}")

    def _without_recorder(self) -> Ending:
        """The script has ended and nobody records: the shim's exit.json says how."""
        try:
            body = json.loads(self._folder.exit.read_bytes())
            return Ending(None, body["exit_status"], body["exit_signal"])
        except (OSError, ValueError, KeyError):
            return Ending(None, None, None)

    # --- the shim ------------------------------------------------------------------------------

    def _shim_said(self) -> None:
        assert self._shim is not None
        try:
            gone = not self._shim.recv(4096)
        except OSError:
            gone = True
        if gone:
            self._shim.close()
            self._shim = None

    def _ask(self, body: dict[str, Any]) -> None:
        if self._shim is not None:
            with contextlib.suppress(OSError):
                self._shim.sendall(json.dumps(body).encode("ascii") + b"\n")

    def _typed(self, keyboard: Keyboard) -> None:
        data = keyboard.read()
        before, suspend, after = data.partition(SUSPEND)
        for part in (before, after):
            if part:
                self._ask({"input": base64.b64encode(part).decode("ascii")})
        if suspend:
            keyboard.suspend(lambda: self._say("the run goes on; `fg` brings its terminal back"))

    def _resize(self) -> None:
        size = shutil.get_terminal_size()
        if size != self._size:
            self._size = size
            self._ask({"resize": [size.lines, size.columns]})

    def _pass_on(self, signals: Signals) -> None:
        for number in signals.take():
            if number in TO_GROUP:
                self._ask({"signal": number})
            elif number in TO_SCRIPT:
                self._ask({"signal": number, "group": False})
            elif number == signal.SIGHUP:
                self._hangup = True
            elif number == signal.SIGWINCH:
                self._resize()


class Signals:
    """Signals to this process while they are meant for the script; none is lost, none acts here."""

    def __init__(self) -> None:
        self._arrived: list[int] = []
        self.descriptor, self._wake = os.pipe()
        """Readable when one has arrived."""

    @classmethod
    @contextlib.contextmanager
    def for_script(cls) -> Iterator[Signals]:
        """From before the script's start, so that a Ctrl-C meanwhile waits for it."""
        signals = cls()
        for end in (signals.descriptor, signals._wake):
            os.set_blocking(end, False)
        old_wake = signal.set_wakeup_fd(signals._wake, warn_on_full_buffer=False)
        old = {}
        for number in (*TO_GROUP, *TO_SCRIPT, signal.SIGHUP, signal.SIGWINCH, signal.SIGCONT):
            if signal.getsignal(number) != signal.SIG_IGN:
                old[number] = signal.signal(number, signals._arrive)
        try:
            yield signals
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_wake)
            os.close(signals.descriptor)
            os.close(signals._wake)

    def take(self) -> list[int]:
        """Those that have arrived since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        arrived, self._arrived = self._arrived, []
        return arrived

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        self._arrived.append(number)


class Keyboard:
    """The user's terminal while what is typed belongs to the script."""

    def __init__(self) -> None:
        self.descriptor = sys.stdin.fileno()
        self.raw = False
        self._saved: list[Any] | None = None

    @classmethod
    @contextlib.contextmanager
    def of_script(cls, wanted: bool) -> Iterator[Keyboard | None]:
        """The terminal in raw mode, before the script can ask for anything; as it was, at the end.

        None if it is not `wanted`.
        """
        if not wanted:
            yield None
            return
        keyboard = cls()
        keyboard.take()
        try:
            yield keyboard
        finally:
            keyboard.restore()

    def take(self) -> bool:
        """Whether we may read it: only in the foreground. Puts it in raw mode then."""
        import termios
        import tty

        try:
            foreground = os.tcgetpgrp(self.descriptor) == os.getpgrp()
            if foreground and not self.raw:
                self._saved = termios.tcgetattr(self.descriptor)
                tty.setraw(self.descriptor, termios.TCSADRAIN)
                self.raw = True
        except (OSError, termios.error):
            return False
        if not foreground:
            self.raw = False
        return foreground

    def read(self) -> bytes:
        """What was typed."""
        try:
            return os.read(self.descriptor, 4096)
        except OSError:
            return b""

    def suspend(self, say: Callable[[], None]) -> None:
        """Give the terminal back to the shell; the script goes on."""
        self.restore()
        say()
        os.kill(os.getpid(), signal.SIGSTOP)

    def restore(self) -> None:
        """Put the terminal as it was."""
        import termios

        if self.raw and self._saved is not None:
            self.raw = False
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._saved)


def end_as(ending: Ending) -> int:
    """The script's own exit status; a death by signal is died again, so that the shell sees it."""
    if ending.exit_signal is not None:
        die_by(ending.exit_signal)
        return 128 + ending.exit_signal
    assert ending.exit_status is not None
    return ending.exit_status


def die_by(number: int) -> None:
    """End this process by a signal, without a core dump of our own."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
