"""TensorBoard scalars through tensorboardX: event files that `tensorboard --logdir` shows.

A run of one process is one folder; of several, one a process that has steps (`rank0`, …), with the
readings of GPUs and host in the first one's. Scalars have the step's index and its wall-clock time.
At most `POINTS` a tag: where there are more steps, each point is the mean of as many as it takes
(TensorBoard itself shows 1,000 by default).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fwtop.export.extras import need
from fwtop.export.manifest import write_manifest
from fwtop.export.source import ExportError, Source, named
from fwtop.queries import devices, host, memory, pages
from fwtop.recording.model import PHASES, Process, Step

POINTS = 5_000
_MIB = 1 << 20
_END_NS = 1 << 62


class _Scalars:
    """One event file. Written at once and in this thread, so that a full disk is told of here."""

    def __init__(self, folder: Path, started_unix_ns: int) -> None:
        need("tensorboardX", "tensorboard")
        records = need("tensorboardX.record_writer", "tensorboard")
        self._events = need("tensorboardX.proto.event_pb2", "tensorboard")
        self._started_ns = started_unix_ns
        name = f"events.out.tfevents.{max(0, started_unix_ns) // 1_000_000_000:010}.fwtop"
        self._records = records.RecordWriter(str(folder / name))
        self._write(self._events.Event(wall_time=started_unix_ns / 1e9,
                                       file_version="brain.Event:2"))  # fmt: skip

    def add(self, step: int, at_ns: int, values: Mapping[str, float | None]) -> None:
        """Values at a step and a time of the run; those that are not known are left out."""
        known = {tag: value for tag, value in values.items() if value is not None}
        if not known:
            return
        event = self._events.Event(wall_time=(self._started_ns + at_ns) / 1e9, step=step)
        for tag, value in known.items():
            event.summary.value.add(tag=tag, simple_value=value)
        self._write(event)

    def close(self) -> None:
        """Everything is in the file."""
        self._records.flush()
        self._records.close()

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())


class _Steps:
    """Some steps of one process on their way to one point."""

    def __init__(self) -> None:
        self.count = 0
        self.index = self.start_ns = 0
        self._duration_ns = 0
        self._sums: dict[str, int] = {}
        self._samples: int | None = None

    def add(self, step: Step) -> None:
        """Take a step in."""
        self.count += 1
        self.index, self.start_ns = step.index, step.start_ns
        self._duration_ns += step.duration_ns
        known = False
        for phase in PHASES[:-1]:
            part: int | None = getattr(step, f"{phase}_ns")
            if part is not None:
                known = True
                self._sums[phase] = self._sums.get(phase, 0) + part
        if known:
            self._sums["other"] = self._sums.get("other", 0) + step.other_ns
        if step.samples is not None:
            self._samples = (self._samples or 0) + step.samples

    def values(self) -> dict[str, float | None]:
        """Means, in units that TensorBoard's axes read well in."""
        values: dict[str, float | None] = {"step/time_ms": self._duration_ns / self.count / 1e6}
        for phase, total_ns in self._sums.items():
            values[f"phase_ms/{phase}"] = total_ns / self.count / 1e6
        if self._duration_ns:
            values["throughput/steps_per_s"] = self.count / self._duration_ns * 1e9
            if self._samples is not None:
                values["throughput/samples_per_s"] = self._samples / self._duration_ns * 1e9
        return values


class _Axis:
    """Which step was the latest at a moment."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._indices: list[int] = []

    def add(self, start_ns: int, index: int) -> None:
        """Steps come in order."""
        self._starts.append(start_ns)
        self._indices.append(index)

    def at(self, at_ns: int) -> int:
        """The index; the first one's before it began."""
        place = max(0, bisect_right(self._starts, at_ns) - 1)
        return self._indices[place] if self._indices else 0


def write(source: Source, out: Path) -> None:
    """Event files into the folder `out`."""
    counts = _counts(source)
    if not counts:
        raise ExportError("there is no step to write scalars of", "choose --to csv or --to json")
    axes: dict[int, _Axis] = {}
    files: dict[int, _Scalars] = {}
    by_id = {process.id: process for process in source.processes}
    try:
        for process_id in counts:
            folder = out if len(counts) == 1 else out / _folder(by_id.get(process_id), process_id)
            folder.mkdir(exist_ok=True)
            files[process_id] = _Scalars(folder, source.run.started_unix_ns)
            axes[process_id] = _Axis()
        _write_steps(source, counts, files, axes)
        for process_id in counts:
            _write_memory(source, process_id, files[process_id], axes[process_id])
        first = source.lead if source.lead in counts else next(iter(counts))
        _write_devices(source, files[first], axes[first])
        _write_host(source, files[first], axes[first])
    finally:
        for file in files.values():
            file.close()
    write_manifest(source, out, "tensorboard")


def _counts(source: Source) -> dict[int, int]:
    """Steps within the stretch by process, the lowest rank first."""
    stretch = source.stretch
    found = pages.steps_by_process(source.recording, stretch.start_ns, stretch.end_ns)
    ordered = [process.id for process in source.processes if process.id in found]
    return {process_id: found[process_id] for process_id in (*ordered, *found)}


def _folder(process: Process | None, process_id: int) -> str:
    return named(process).replace(" ", "") if process else f"process{process_id}"


def _write_steps(
    source: Source,
    counts: Mapping[int, int],
    files: Mapping[int, _Scalars],
    axes: Mapping[int, _Axis],
) -> None:
    held: dict[int, _Steps] = {}
    for step in source.rows(pages.STEPS, "steps"):
        if step.process_id not in counts:
            continue
        point = held.setdefault(step.process_id, _Steps())
        point.add(step)
        if point.count >= -(-counts[step.process_id] // POINTS):
            _write_point(held.pop(step.process_id), files[step.process_id], axes[step.process_id])
    for process_id, point in held.items():
        _write_point(point, files[process_id], axes[process_id])


def _write_point(point: _Steps, file: _Scalars, axis: _Axis) -> None:
    axis.add(point.start_ns, point.index)
    file.add(point.index, point.start_ns, point.values())


def _write_memory(source: Source, process_id: int, file: _Scalars, axis: _Axis) -> None:
    start_ns, end_ns = _bounds(source)
    names = {s.device for s in memory.peaks(source.recording) if s.process_id == process_id}
    for name in sorted(names):
        for sample in memory.history(source.recording, process_id, name, start_ns, end_ns, POINTS):
            file.add(axis.at(sample.at_ns), sample.at_ns, {
                f"memory/{name}/allocated_MiB": _mib(sample.allocated_bytes),
                f"memory/{name}/reserved_MiB": _mib(sample.reserved_bytes),
            })  # fmt: skip


def _write_devices(source: Source, file: _Scalars, axis: _Axis) -> None:
    start_ns, end_ns = _bounds(source)
    for device in devices.devices(source.recording):
        name = f"gpu{device.index}" + ("" if device.parent_id is None else f"-mig{device.id}")
        for sample in devices.history(source.recording, device.id, start_ns, end_ns, POINTS):
            file.add(axis.at(sample.at_ns), sample.at_ns, {
                f"{name}/utilization_percent": _percent(sample.utilization_ratio),
                f"{name}/memory_MiB": _mib(sample.memory_used_bytes),
                f"{name}/power_W": sample.power_w,
                f"{name}/temperature_C": sample.temperature_c,
            })  # fmt: skip


def _write_host(source: Source, file: _Scalars, axis: _Axis) -> None:
    start_ns, end_ns = _bounds(source)
    for sample in host.history(source.recording, start_ns, end_ns, POINTS):
        file.add(axis.at(sample.at_ns), sample.at_ns, {
            "host/cpu_percent": _percent(sample.cpu_ratio),
            "host/run_cpu_cores": sample.run_cpu_ratio,
            "host/memory_MiB": _mib(sample.memory_used_bytes),
            "host/run_memory_MiB": _mib(sample.run_rss_bytes),
        })  # fmt: skip


def _bounds(source: Source) -> tuple[int, int]:
    """The stretch, closed by what the recording can hold, so that points are fine enough."""
    end_ns = source.stretch.end_ns
    if end_ns is None:
        latest = [source.run.duration_ns or 0, *_last_times(source)]
        end_ns = max(latest) + 1
    return source.stretch.start_ns or 0, min(end_ns, _END_NS)


def _last_times(source: Source) -> Iterable[int]:
    sample = host.latest(source.recording)
    if sample is not None:
        yield sample.at_ns
    for reading in devices.latest(source.recording):
        yield reading.at_ns
    for reading_of_memory in memory.latest(source.recording):
        yield reading_of_memory.at_ns


def _mib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / _MIB


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else ratio * 100
