"""The threads that sample the host and the GPUs, and what of their readings becomes rows.

A sampler that hangs in a driver's call costs its own thread and nothing else.
"""

from __future__ import annotations

import importlib
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from fwtop.devices.sampler import Sampler
from fwtop.devices.samples import HostReading, RunScope, SamplerNotice, Samples
from fwtop.recorder import statements as sql
from fwtop.recorder.notices import Notices
from fwtop.recorder.writer import Writer

SAMPLERS = (
    ("fwtop.devices.host.sampler", "HostSampler", "the host's readings"),
    ("fwtop.devices.nvidia.sampler", "NvidiaSampler", "the NVIDIA GPUs' readings"),
)
"""Module, class, and what is missing without it."""
START_DELAY_S = 0.3
"""The script's own start comes first, and a script that is over by then has nothing to sample."""
GONE_AFTER_NS = 60_000_000_000
"""A process that has ended stays in the list this long."""


class Sampling:
    """Runs the samplers; `deliver` is called on their threads."""

    def __init__(self, interval_s: float, deliver: Callable[[Samples], None]) -> None:
        self.scope = RunScope()
        """What belongs to the run; replaced whole by the recorder's thread."""
        self._interval_s = interval_s
        self._deliver = deliver
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start a thread a sampler; importing them happens there, a little later."""
        for module, name, what in SAMPLERS:
            thread = threading.Thread(
                target=self._run, args=(module, name, what), name=name, daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """No sample is delivered any more, once this has returned; a wedged thread is left."""
        self._stop.set()

    def _run(self, module: str, name: str, what: str) -> None:
        if self._stop.wait(START_DELAY_S):
            return
        try:
            sampler: Sampler = getattr(importlib.import_module(module), name)()
            sampler.start()
            while not self._stop.is_set():
                samples = sampler.sample(self.scope)
                if not self._stop.is_set():
                    self._deliver(samples)
                self._stop.wait(self._interval_s)
            sampler.close()
        except Exception as error:
            traceback.print_exc()  # into recorder.log
            if not self._stop.is_set():
                self._deliver(Samples(time.monotonic_ns(), notices=(_failure(what, error),)))


def _failure(what: str, error: Exception) -> SamplerNotice:
    """What is said of a sampler that raised, which none should."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return SamplerNotice(
        "warning",
        "sampler_failed",
        f"{what} end here: {type(error).__name__}: {error} ({where})",
        "the script and the other readings are not concerned; please report it",
    )


class DeviceRows:
    """Turns samples into rows; `start_ns` is the run's start on the monotonic clock."""

    def __init__(
        self, writer: Writer, notices: Notices, start_ns: int, known: dict[str, int]
    ) -> None:
        self._writer = writer
        self._notices = notices
        self._start_ns = start_ns
        self._ids = known

    def add(self, samples: Samples) -> None:
        """Queue everything that was found."""
        for notice in samples.notices:
            self._notices.add(notice.severity, notice.code, notice.text, notice.next)
        self._devices(samples)
        if samples.host is not None:
            self._host(samples.host)
        self._writer.add(
            sql.HOST_PROCESS,
            *(
                (p.pid, p.parent_pid, self._at(p.at_ns), p.name, p.cpu_ratio, p.rss_bytes,
                 p.threads, int(p.alive))
                for p in samples.host_processes
            ),
        )  # fmt: skip
        if any(not process.alive for process in samples.host_processes):
            gone_before = self._at(samples.at_ns) - GONE_AFTER_NS
            self._writer.add(sql.HOST_PROCESSES_GONE, (gone_before,))

    def _devices(self, samples: Samples) -> None:
        for device in samples.devices:
            number = self._ids.setdefault(device.device_key, len(self._ids) + 1)
            parent = None if device.parent_key is None else self._ids.get(device.parent_key)
            facts = msgspec.json.encode(dict(device.facts)).decode()
            row = (
                number, device.device_key, device.vendor, device.device_index, device.name,
                device.uuid, parent, device.memory_total_bytes, facts, int(device.used),
            )  # fmt: skip
            self._writer.add(sql.DEVICE, row)
        for reading in samples.readings:
            if reading.device_key in self._ids:
                values = (getattr(reading, name) for name in sql.DEVICE_SAMPLE_COLUMNS)
                key = (self._ids[reading.device_key], self._at(reading.at_ns))
                self._writer.add(sql.DEVICE_SAMPLE, (*key, *values))
        for process in samples.processes:
            if process.device_key in self._ids:
                number, at_ns = self._ids[process.device_key], self._at(process.at_ns)
                self._writer.add(
                    sql.DEVICE_PROCESS,
                    (number, process.pid, at_ns, process.name, process.memory_bytes,
                     int(process.own)),
                )  # fmt: skip
        if not samples.stale:
            at_ns = min((p.at_ns for p in samples.processes), default=samples.at_ns)
            read = {self._ids[r.device_key] for r in samples.readings if r.device_key in self._ids}
            gone = ((number, self._at(at_ns)) for number in read)
            self._writer.add(sql.DEVICE_PROCESSES_GONE, *gone)

    def _host(self, host: HostReading) -> None:
        cores = bytes(min(255, max(0, round(ratio * 255))) for ratio in host.core_ratios)
        values = (getattr(host, name) for name in sql.HOST_SAMPLE_COLUMNS)
        self._writer.add(sql.HOST_SAMPLE, (self._at(host.at_ns), cores, *values))

    def _at(self, monotonic_ns: int) -> int:
        return monotonic_ns - self._start_ns


def scope_of(roots: set[int], uuids: frozenset[str], last: RunScope, samples: Samples) -> RunScope:
    """What is known of the run after `samples`."""
    pids = samples.run_pids or last.pids
    return replace(last, roots=frozenset(roots), pids=pids, device_uuids=uuids)
