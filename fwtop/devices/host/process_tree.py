"""The run's processes: the script, its descendants, and those that said Hello.

Who belongs is decided once, when a process is first seen: its parent belongs, or it is in the
session that the script leads. After that it belongs until it ends, so a worker that starts a
session of its own or loses its parent stays. What forks twice between two samples and leaves the
session is seen only when it says Hello.

The machine's processes are listed once a sample and only new ones are asked for their parent: with
hundreds of processes a full scan would cost more than everything else together. A pid that ends
and is reused between two samples is taken for the process that it was.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from fwtop.devices.rates import CounterRate

DETAILS_EVERY = 5
"""Name and thread count need two more files a process, and change rarely."""


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process now. A field that may not be read is None."""

    pid: int
    parent_pid: int | None
    name: str
    cpu_ratio: float | None
    rss_bytes: int | None
    threads: int | None


class TrackedProcess:
    """One process of the run, from sample to sample."""

    def __init__(self, pid: int, parent_pid: int | None) -> None:
        """Raises psutil.Error if there is no such process any more."""
        self._process = psutil.Process(pid)
        self._pid = pid
        self._parent_pid = parent_pid
        self._name = ""
        self._threads: int | None = None
        self._cpu = CounterRate()
        self._until_details = 0

    def read(self, at_ns: int) -> ProcessFigures | None:
        """Its figures; None once it has ended (a zombie has)."""
        cpu_s: float | None = None
        rss_bytes: int | None = None
        try:
            with self._process.oneshot():
                if self._process.status() == psutil.STATUS_ZOMBIE:
                    return None
                try:
                    times = self._process.cpu_times()
                    cpu_s = times.user + times.system
                    rss_bytes = self._process.memory_info().rss
                    self._read_details()
                except psutil.AccessDenied:
                    pass  # macOS refuses other users' processes, and some of one's own
        except (psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
            return None
        except psutil.AccessDenied:
            pass
        ratio = self._cpu.update(cpu_s, at_ns)
        return ProcessFigures(
            self._pid, self._parent_pid, self._name, ratio, rss_bytes, self._threads
        )

    def _read_details(self) -> None:
        if self._until_details == 0:
            self._name = self._process.name()
            self._threads = self._process.num_threads()
            self._until_details = DETAILS_EVERY
        self._until_details -= 1


class ProcessTree:
    """Which processes belong to the run, and their figures."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}
        self._members: dict[int, TrackedProcess] = {}
        self._ended: set[int] = set()
        self._sessions: set[int | None] = set()

    @property
    def pids(self) -> frozenset[int]:
        """The processes that belong now."""
        return frozenset(self._members)

    def read(self, roots: frozenset[int], at_ns: int) -> list[ProcessFigures]:
        """Find who joined and who left, and read everyone's figures."""
        self._find(roots)
        figures: list[ProcessFigures] = []
        for pid, process in list(self._members.items()):
            now = process.read(at_ns)
            if now is None:
                self._leave(pid)
            else:
                figures.append(now)
        return figures

    def _find(self, roots: frozenset[int]) -> None:
        listed = set(psutil.pids())
        for pid in self._parents.keys() - listed:
            del self._parents[pid]
        for pid in self._members.keys() - listed:
            self._leave(pid)
        # What has left the list may come again as another process. A root may not: that a pid was
        # the run's says nothing about who has it next.
        self._ended &= listed | roots
        self._sessions &= {_session(pid) for pid in self._members}
        fresh = listed - self._parents.keys()
        for pid in fresh:
            parent = _parent(pid)
            if parent is not None:
                self._parents[pid] = parent
        new_roots = (roots & listed) - self._members.keys() - self._ended
        for pid in new_roots:
            self._join(pid)
        self._find_descendants()
        for pid in (listed if new_roots else fresh) - self._members.keys() - self._ended:
            if _session(pid) in self._sessions:
                self._join(pid)

    def _find_descendants(self) -> None:
        while True:
            found = [
                pid
                for pid, parent in self._parents.items()
                if parent in self._members and pid not in self._members and pid not in self._ended
            ]
            if not found:
                return
            for pid in found:
                self._join(pid)

    def _join(self, pid: int) -> None:
        try:
            self._members[pid] = TrackedProcess(pid, self._parents.get(pid))
        except psutil.Error:
            self._ended.add(pid)
            return
        # A session that the script shares with the user's shell would bring in the shell.
        if _session(pid) == pid:
            self._sessions.add(pid)

    def _leave(self, pid: int) -> None:
        del self._members[pid]
        self._ended.add(pid)


def _parent(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
