"""Scripts by turns, a slice of a fraction of a second each: what one costs beside the others.

All are started at the same time, warm up, and from then on only one of them runs at any moment: the
others are stopped (SIGSTOP, all threads of the script's process; never fwtop's recorder). A machine
that grows slower or faster does so for all. The scripts stop at the end of a step (see
scripts/step_times.py), so a slice is whole steps, all of them, timed by the script; the first of
them finds cold caches on every side. All scripts run on the same core, recorders where they like;
what fwtop has in the script's process, saving a window included, so shares the script's core.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from tests.benchmarks.commands import favour

START_S = 120
"""A framework's import and a first step, and the end of a recording, on a busy machine."""
STOP_S = 30
POLL_S = 0.002


@dataclass(frozen=True)
class Slice:
    """Whole steps of one script between two pauses, by CLOCK_MONOTONIC."""

    began_s: float
    cpu_s: float
    """Of all threads of the script's process."""
    ends_s: list[float]
    """Of each step; the first one began with the slice."""

    @property
    def length_s(self) -> float:
        """From its begin to the end of its last step."""
        return self.ends_s[-1] - self.began_s

    @property
    def step_s(self) -> float:
        """The mean step."""
        return self.length_s / len(self.ends_s)

    @property
    def median_step_s(self) -> float:
        """The middle one."""
        return statistics.median(b - a for a, b in pairwise([self.began_s, *self.ends_s]))

    @property
    def step_cpu_s(self) -> float:
        """The mean step's CPU time."""
        return self.cpu_s / len(self.ends_s)

    def holds(self, at_s: float) -> bool:
        """Whether an instant is within it."""
        return self.began_s <= at_s <= self.ends_s[-1]


@dataclass(frozen=True)
class Pace:
    """How long it takes."""

    cycles: int
    slice_s: float = 0.5
    """The machine's mood lasts longer, and stopping and caches are still few of some 100 steps. A
    slice begins with a round of fwtop's sender, which has slept over its time: one more than in so
    long a stretch of an ordinary run."""
    warm_up_s: float = 7.0


@dataclass(frozen=True)
class Command:
    """A script to be timed."""

    argv: list[str]
    result: Path
    """Where the script writes its slices; what it is given as RESULT."""


def alternate(
    commands: Mapping[str, Command],
    order: Sequence[str],
    environ: Mapping[str, str],
    pace: Pace,
) -> dict[str, list[Slice]]:
    """Each command's slices, taken in `order` again and again, by the commands' names.

    Raises RuntimeError if one of them does not start, pause or end as it should.
    """
    with started(commands, environ) as sides:
        time.sleep(pace.warm_up_s)
        for side in sides.values():
            side.pause()
        for name in list(order) * pace.cycles:
            sides[name].script.resume()
            time.sleep(pace.slice_s)
            sides[name].pause()
        for side in sides.values():
            side.script.send_signal(signal.SIGUSR2)
            side.script.resume()
        return {name: side.slices() for name, side in sides.items()}


class _Side:
    """One script, started."""

    def __init__(self, command: Command, environ: Mapping[str, str]) -> None:
        self._command = command
        self._log = command.result.with_suffix(".log").open("w+")
        self._pid = Path(f"{command.result}.pid")
        for path in (self._pid, command.result):
            path.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            command.argv,
            env=dict(environ),
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # as fwtop starts its script: the scheduler weighs sessions
        )
        self.script = psutil.Process(self.process.pid)
        """Of another process than `process` once `find` has returned, where fwtop starts it."""

    def find(self) -> None:
        """Wait for the script's first step."""
        end = time.monotonic() + START_S
        while not self._pid.exists():
            self._check(end, "made no step")
        self.script = psutil.Process(int(self._pid.read_text()))
        _place(self.script.pid)

    def pause(self) -> None:
        """Ask for it, and wait until every thread has stopped."""
        self.script.send_signal(signal.SIGUSR1)
        end = time.monotonic() + STOP_S
        while self.script.status() != psutil.STATUS_STOPPED:
            self._check(end, "did not pause")

    def slices(self) -> list[Slice]:
        """Wait for the end, and read."""
        if self.process.wait(START_S):
            raise self._error(f"ended with {self.process.returncode}")
        rows = json.loads(self._command.result.read_text())["slices"]
        return [Slice(*row) for row in rows]

    def end(self) -> None:
        """End it by force, if it has not ended."""
        if self.process.poll() is None:
            for process in (self.script, psutil.Process(self.process.pid)):
                if process.is_running():
                    os.kill(process.pid, signal.SIGKILL)
            self.process.wait()
        self._log.close()

    def _check(self, end: float, what: str) -> None:
        if self.process.poll() is not None or time.monotonic() > end:
            raise self._error(what)
        time.sleep(POLL_S)

    def _error(self, what: str) -> RuntimeError:
        self._log.seek(0)
        return RuntimeError(f"{self._command.argv} {what}: {self._log.read()[-2000:]}")


def _place(pid: int) -> None:
    """The same core for every script, with all threads that it has by now; those of two cores
    differ by percents for as long as they run."""
    if hasattr(os, "sched_setaffinity"):
        core = max(os.sched_getaffinity(0))
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
    favour(pid)


@contextmanager
def started(
    commands: Mapping[str, Command], environ: Mapping[str, str]
) -> Iterator[dict[str, _Side]]:
    """All of them at their first steps; none is left behind."""
    sides: dict[str, _Side] = {}
    try:
        for name, command in commands.items():
            sides[name] = _Side(command, environ)
        for side in sides.values():
            side.find()
        yield sides
    finally:
        for side in sides.values():
            side.end()
