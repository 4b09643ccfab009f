"""The clock of the scripts that are timed: their steps, in slices that the benchmark asks for.

A script calls `ended` at each step's end, and leaves its loop when that says so. SIGUSR1 asks for
a pause: at the end of its step the script stops itself by SIGSTOP, threads and all, until somebody
sends SIGCONT. SIGUSR2 asks for the end. Between two pauses lies a slice of whole steps, by
`perf_counter`. The time until the first pause is the warming up, and in no slice.

A pause within a trace window's saving would be charged to fwtop's budget as if saving had taken so
long, so none begins while a thread of that name runs, nor in the step in which it ended. Elsewhere
there is no such thread, and the same code costs the same.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

SAVING = "fwtop-window"
"""The name of the thread that saves a trace window (profilers/fwtop_profilers/saver.py)."""


class StepTimes:
    """The times of one script. It makes RESULT.pid when its first step has ended."""

    def __init__(self, result: str) -> None:
        self._result = result
        self._slices: list[tuple[float, float, list[float]]] = []
        self._began_s = self._began_cpu_s = 0.0
        self._ends: list[float] = []
        self._warm = self._ready = False
        self._pause_asked = self._end_asked = self._was_saving = False
        signal.signal(signal.SIGUSR1, self._ask_pause)
        signal.signal(signal.SIGUSR2, self._ask_end)

    def ended(self) -> bool:
        """A step ended; whether the script shall end, too. Returns after the pause, if any."""
        now_s = time.perf_counter()
        self._ends.append(now_s)
        if not self._ready:
            self._ready = True
            tell_ready(self._result)
        if self._pause_asked and not self._saving():
            self._pause()
        return self._end_asked

    def write(self, loss: float) -> None:
        """All slices as RESULT: `[began_s, cpu_s of all threads, [end_s of each step]]`."""
        with open(self._result, "w") as file:
            json.dump({"slices": self._slices, "loss": loss}, file)
        print(f"{len(self._slices)} slices, loss {loss:.4f}", file=sys.stderr)

    def _pause(self) -> None:
        if self._warm:
            cpu_s = time.process_time() - self._began_cpu_s
            self._slices.append((self._began_s, cpu_s, self._ends))
        self._warm, self._pause_asked, self._ends = True, False, []
        signal.raise_signal(signal.SIGSTOP)  # to this thread, which so stops before it returns
        self._began_cpu_s = time.process_time()
        self._began_s = time.perf_counter()

    def _saving(self) -> bool:
        was, self._was_saving = self._was_saving, False
        self._was_saving = any(thread.name == SAVING for thread in threading.enumerate())
        return was or self._was_saving

    def _ask_pause(self, *_: object) -> None:
        self._pause_asked = True

    def _ask_end(self, *_: object) -> None:
        self._end_asked = True


def tell_ready(result: str) -> None:
    """Make RESULT.pid, by which the benchmark finds this process."""
    part = Path(result + ".part")
    part.write_text(str(os.getpid()))
    part.rename(result + ".pid")
