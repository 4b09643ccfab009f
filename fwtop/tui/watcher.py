"""The thread that reads the recording and posts pictures of it. It touches no widget.

It polls `PRAGMA data_version`, which costs microseconds, and collects when the recorder has
committed or when something else is wanted. While the recorder finishes it lets go of the file, so
that the recorder can leave WAL mode.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
from textual.message import Message

from fwtop.control import ControlError, Ping, ask
from fwtop.launch.spec import read as read_spec
from fwtop.recording.model import Run
from fwtop.recording.store import Recording, RecordingError, open_recording
from fwtop.run_folder import RunFolder
from fwtop.tui.collect import Collector
from fwtop.tui.messages import Unreadable, Updated
from fwtop.tui.snapshot import Snapshot, Wanted

QUIET_NS = 4_000_000_000
"""Without a commit for so long, the recorder is asked whether it is there."""
REOPEN_S = 0.5


class Watcher:
    """Runs in a thread of the application's: `run` returns after `stop`."""

    def __init__(
        self,
        path: Path,
        folder: RunFolder | None,
        post: Callable[[Message], object],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._path = path
        self._folder = folder
        self._final = final_path(folder)
        self._post = post
        self._clock = clock
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._wanted = Wanted()
        self._changed = True
        self.interval_s = 1.0
        self._recording: Recording | None = None
        self._collector: Collector | None = None
        self._version: int | None = None
        self._quiet_since_ns = clock()
        self._gone = False
        self._last: Snapshot | None = None
        self.reads = 0
        """Pictures collected: a test sees by it that nothing is read in vain."""

    def want(self, wanted: Wanted) -> None:
        """Something else is visible: collect at once."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed = True
            self._wake.set()

    def stop(self) -> None:
        """Let go of the recording and return from `run`."""
        self._stopped.set()
        self._wake.set()

    def run(self) -> None:
        """Poll until stopped."""
        try:
            while not self._stopped.is_set():
                self._wake.clear()
                pause = self._tick()
                self._wake.wait(pause)
        finally:
            self._close()

    def _tick(self) -> float | None:
        """One look at the recording; returns for how long to sleep, None until woken."""
        try:
            if self._recording is None:
                return self._reopen()
            return self._look(self._recording)
        except RecordingError as error:
            self._close()
            self._post(Unreadable(str(error), error.next))
            return max(REOPEN_S, self.interval_s)

    def _look(self, recording: Recording) -> float | None:
        version = recording.version()
        committed = version != self._version
        if committed:
            self._version = version
            self._quiet_since_ns = self._clock()
        self._ping()
        last = self._last
        ticking = last is not None and last.live and self._wanted.paused_ns is None
        if committed or self._changed or ticking:
            last = self._collect()
        if last is None or not last.live:
            return None
        if last.run.state == "finishing" and self._folder is not None:
            self._close()
            return REOPEN_S
        if self._folder is None and not committed:
            return max(2.0, self.interval_s)
        return self.interval_s

    def _collect(self) -> Snapshot:
        assert self._collector is not None
        self._changed = False
        self.reads += 1
        snapshot = self._collector.collect(self._wanted)
        if self._gone:
            snapshot = replace(snapshot, recorder_gone=True)
        self._last = snapshot
        self._post(Updated(snapshot))
        return snapshot

    def _reopen(self) -> float | None:
        """Open; while the recorder is finishing, look shortly and let go again."""
        if not self._path.exists() and self._final is not None and self._final.exists():
            self._path = self._final
        recording = open_recording(self._path)
        self._recording = recording
        self._collector = Collector(recording, self._now if self._folder is not None else None)
        self._version = recording.version()
        last = self._collect()
        if last.run.state == "finishing" and self._folder is not None and self._folder_is_there():
            self._close()
            return REOPEN_S
        return None if not last.live else self.interval_s

    def _folder_is_there(self) -> bool:
        return self._folder is not None and self._folder.path.exists()

    def _now(self, run: Run) -> int:
        return self._clock() - run.started_monotonic_ns

    def _ping(self) -> None:
        """A silent recorder is asked whether it lives; it may only have nothing to write."""
        if self._folder is None or self._last is None or not self._last.live:
            return
        if self._clock() - self._quiet_since_ns < QUIET_NS:
            if self._gone:
                self._gone, self._changed = False, True
            return
        try:
            ask(self._folder.control_socket, Ping(), timeout_s=1.0)
            gone = False
        except ControlError:
            gone = True
        if gone != self._gone:
            self._gone, self._changed = gone, True

    def _close(self) -> None:
        if self._recording is not None:
            self._recording.close()
        self._recording = None
        self._collector = None


def final_path(folder: RunFolder | None) -> Path | None:
    """Where the recording goes when the run has ended, if that is told and known."""
    if folder is None:
        return None
    try:
        return Path(read_spec(folder.launch).recording)
    except (OSError, msgspec.MsgspecError):
        return None
