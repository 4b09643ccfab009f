"""The host and the run's process tree, read with psutil.

Everything that is a rate is the difference of two counters over the time that really passed, so the
first sample has none. In a container with limits, CPU and memory are the container's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import nlargest

import psutil

from fwtop.devices.host.cgroup import Limits, limits
from fwtop.devices.host.counters import disk_bytes, network_bytes
from fwtop.devices.host.process_tree import ProcessFigures, ProcessTree, TrackedProcess
from fwtop.devices.rates import CounterRate, whole
from fwtop.devices.sampler import Sampler
from fwtop.devices.samples import HostProcessReading, HostReading, RunScope, Samples

PROCESSES = 32
"""At most so many processes are told one by one, the busiest first; sums hold them all."""


class HostSampler:
    """Yields one `HostReading` a call, and the run's busiest processes."""

    name = "host"

    def __init__(
        self,
        clock: Callable[[], int] = time.monotonic_ns,
        find_limits: Callable[[], Limits] = limits,
        processes: int = PROCESSES,
    ) -> None:
        self._clock = clock
        self._find_limits = find_limits
        self._limit = processes
        self._tree = ProcessTree()
        self._told: dict[int, HostProcessReading] = {}
        self._recorder: TrackedProcess | None = None
        self._cores = _CoreTimes()
        self._limits = Limits()
        self._started = False
        self._quota_use = CounterRate()
        self._disk_read, self._disk_write = CounterRate(), CounterRate()
        self._network_rx, self._network_tx = CounterRate(), CounterRate()

    @property
    def reason(self) -> str | None:
        """There is always a host."""
        return None

    @property
    def limits(self) -> Limits:
        """The cgroup's limits, known after `start`."""
        return self._limits

    def start(self) -> None:
        """Take the first reading of each counter, so that the first sample already has rates."""
        if self._started:
            return
        self._started = True
        self._limits = self._find_limits()
        self._recorder = TrackedProcess(os.getpid(), None)
        self._read_host(self._clock())

    def sample(self, run: RunScope) -> Samples:
        """The host now. What may not be read is None."""
        self.start()
        at_ns = self._clock()
        figures = self._tree.read(run.roots, at_ns)
        known = [f.cpu_ratio for f in figures if f.cpu_ratio is not None]
        resident = [f.rss_bytes for f in figures if f.rss_bytes is not None]
        reading = replace(
            self._read_host(at_ns),
            run_cpu_ratio=sum(known) if known else None,
            run_rss_bytes=sum(resident) if resident else None,
            run_processes=len(figures) if run.roots else None,
        )
        return Samples(
            at_ns=at_ns,
            host=reading,
            host_processes=self._tell(figures, at_ns),
            run_pids=self._tree.pids,
        )

    def close(self) -> None:
        """Nothing is held open."""

    def _tell(
        self, figures: Sequence[ProcessFigures], at_ns: int
    ) -> tuple[HostProcessReading, ...]:
        """The busiest processes, and once more those that were told before and have ended."""
        busiest = nlargest(
            self._limit, figures, key=lambda f: (f.cpu_ratio or 0.0, f.rss_bytes or 0)
        )
        readings = {f.pid: _reading(f, at_ns) for f in busiest}
        alive = {f.pid for f in figures}
        ended = [
            replace(told, at_ns=at_ns, cpu_ratio=None, rss_bytes=None, threads=None, alive=False)
            for pid, told in self._told.items()
            if pid not in alive
        ]
        self._told = {p: told for p, told in self._told.items() if p in alive} | readings
        return (*readings.values(), *ended)

    def _read_host(self, at_ns: int) -> HostReading:
        cpu_ratio, core_ratios = self._cores.read()
        if self._limits.cpu is not None:
            busy_ns = self._quota_use.update(self._limits.cpu.used_ns(), at_ns)
            cpu_ratio = None if busy_ns is None else busy_ns / 1e9 / self._limits.cpu.cores
            core_ratios = ()  # the quota is of no particular ones, and they are others', too
        memory_used_bytes, memory_total_bytes = self._read_memory()
        read_bytes, written_bytes = disk_bytes()
        received_bytes, sent_bytes = network_bytes()
        recorder = self._recorder.read(at_ns) if self._recorder else None
        return HostReading(
            at_ns=at_ns,
            cpu_ratio=cpu_ratio,
            core_ratios=core_ratios,
            memory_used_bytes=memory_used_bytes,
            memory_total_bytes=memory_total_bytes,
            swap_used_bytes=_swap_used(),
            disk_read_bytes_per_s=whole(self._disk_read.update(read_bytes, at_ns)),
            disk_write_bytes_per_s=whole(self._disk_write.update(written_bytes, at_ns)),
            network_rx_bytes_per_s=whole(self._network_rx.update(received_bytes, at_ns)),
            network_tx_bytes_per_s=whole(self._network_tx.update(sent_bytes, at_ns)),
            load_1=_load(),
            recorder_cpu_ratio=recorder.cpu_ratio if recorder else None,
            recorder_rss_bytes=recorder.rss_bytes if recorder else None,
        )

    def _read_memory(self) -> tuple[int | None, int | None]:
        """Used and total bytes; used is what is not available, so page cache does not count."""
        try:
            memory = psutil.virtual_memory()
        except (OSError, RuntimeError):
            return None, None
        limit = self._limits.memory
        # A limit above what the machine has limits nothing.
        if limit is not None and limit.limit_bytes < memory.total:
            return limit.used_bytes(), limit.limit_bytes
        return memory.total - memory.available, memory.total


class _CoreTimes:
    """Busy shares of the cores between two calls."""

    def __init__(self) -> None:
        self._last: list[tuple[float, float]] = []

    def read(self) -> tuple[float | None, tuple[float, ...]]:
        """Of all cores that this process may use, and of each of them. Iowait is idle time."""
        try:
            now = [_busy_and_total(times) for times in psutil.cpu_times(percpu=True)]
        except (OSError, RuntimeError):
            return None, ()
        last, self._last = self._last, now
        if len(last) != len(now):  # the first reading, or a core came or went
            return None, ()
        ratios = tuple(
            min(1.0, max(0.0, (busy - busy_0) / (total - total_0))) if total > total_0 else 0.0
            for (busy, total), (busy_0, total_0) in zip(now, last, strict=True)
        )
        cores = _usable_cores()
        usable = tuple(ratio for core, ratio in enumerate(ratios) if core in cores) or ratios
        return sum(usable) / len(usable), usable


def _busy_and_total(times: Sequence[float]) -> tuple[float, float]:
    # Linux counts guest time within user time as well.
    guest: float = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    idle: float = getattr(times, "idle", 0.0) + getattr(times, "iowait", 0.0)
    total = sum(times) - guest
    return total - idle, total


def _usable_cores() -> frozenset[int]:
    """Cores of this process's affinity, which a cpuset narrows; empty on systems without one."""
    affinity = getattr(os, "sched_getaffinity", None)
    try:
        return frozenset(affinity(0)) if affinity else frozenset()
    except OSError:
        return frozenset()


def _reading(figures: ProcessFigures, at_ns: int) -> HostProcessReading:
    return HostProcessReading(
        pid=figures.pid,
        parent_pid=figures.parent_pid,
        at_ns=at_ns,
        name=figures.name,
        cpu_ratio=figures.cpu_ratio,
        rss_bytes=figures.rss_bytes,
        threads=figures.threads,
        alive=True,
    )


def _swap_used() -> int | None:
    try:
        return psutil.swap_memory().used
    except (OSError, RuntimeError):
        return None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


_: type[Sampler] = HostSampler  # mypy's proof; a Protocol that is inherited from would hide a lack
