"""Chrome's trace event format, as Perfetto (https://ui.perfetto.dev) and chrome://tracing read it.

Format: "Trace Event Format", https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0n.
Only complete events (`X`), instants (`i`), counters (`C`), flows (`s`, `f`) and metadata (`M`):
there is no beginning that could lack its end. Times are microseconds of the run, with nanoseconds
as their fraction; the events of each track come in time's order, the tracks one after the other.
The windows' events have Kineto's categories, and `baseTimeNanoseconds` is the run's start, so that
readers of Kineto's traces find operators, launches and kernels in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, BinaryIO

from fwtop import __version__
from fwtop.analysis.findings import find
from fwtop.export.chrome_windows import window_events
from fwtop.export.source import FLAGS, Source, named, phases_in_order
from fwtop.export.texts import cleaned, valid
from fwtop.export.trace_events import Lanes, Tracks, Writer, at_us
from fwtop.queries import devices, memory, pages, run
from fwtop.queries.host import latest
from fwtop.recording.model import CompileEvent, DeviceSample, HostSample, Step
from fwtop.summary import gather

_WHOLE = ("compile", "trace", "retrace", "xla", "phase")
_MIB = 1 << 20


def write(source: Source, out: BinaryIO) -> None:
    """The trace into a file."""
    out.write(_head(source))
    tracks = Tracks(source.processes)
    writer = Writer(out)
    for events in (_steps, _compile_events, window_events, _allocators, _gpus, _host, _remarks):
        writer.write(events(source, tracks))
    writer.write(tracks.metadata())
    out.write(b"\n]}\n")


def _head(source: Source) -> bytes:
    the_run = source.run
    gpus = devices.devices(source.recording)
    head = {
        "schemaVersion": 1,
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": the_run.started_unix_ns,
        "deviceProperties": [{"id": gpu.index, "name": gpu.name} for gpu in gpus],
        "otherData": {
            "exporter": f"fwtop {__version__}",
            "run": the_run.id,
            "command": the_run.command,
            "host": the_run.host,
            "versions": the_run.versions,
            "phases of a step": "their lengths are measured, their order is assumed",
        },
    }
    return json.dumps(cleaned(head)).encode()[:-1] + b',\n"traceEvents":[\n'


def _steps(source: Source, tracks: Tracks) -> Iterator[bytes]:
    """A step and, in it, its phases. Written by hand, for there may be millions."""
    heads: dict[int, str] = {}
    for step in source.rows(pages.STEPS, "steps"):
        head = heads.get(step.process_id)
        if head is None:
            pid, tid = tracks.of(step.process_id, "steps", order=0)
            head = heads[step.process_id] = f'{{"ph":"X","pid":{pid},"tid":{tid},'
        lines = [
            f'{head}"cat":"step","name":"step {step.index}","ts":{at_us(step.start_ns)},'
            f'"dur":{at_us(step.duration_ns)},"args":{_step_args(step)}}}'
        ]
        lines += [
            f'{head}"cat":"phase","name":"{phase}","ts":{at_us(start)},"dur":{at_us(end - start)}}}'
            for phase, start, end in phases_in_order(step)
        ]
        yield ",\n".join(lines).encode()


def _step_args(step: Step) -> str:
    flags = ", ".join(name for name, bit in FLAGS.items() if step.flags & bit)
    samples = "null" if step.samples is None else step.samples
    return f'{{"step":{step.index},"samples":{samples},"flags":"{flags}"}}'


def _compile_events(source: Source, tracks: Tracks) -> Iterator[Mapping[str, Any]]:
    lanes: dict[int, Lanes] = {}
    end_ns = source.run.duration_ns
    for event in source.rows(pages.COMPILE_EVENTS, "compile events"):
        whole = event.kind in _WHOLE
        duration_ns = event.duration_ns
        if duration_ns is None:  # it was under way when the recording ends
            duration_ns = max(0, (end_ns or event.start_ns) - event.start_ns) if whole else 0
        lane = 0
        if whole:
            of_process = lanes.setdefault(event.process_id, Lanes())
            lane = of_process.take(event.start_ns, event.start_ns + duration_ns)
        pid, tid = tracks.of(event.process_id, "compile", lane, order=1)
        common = {
            "name": event.name if event.kind == "phase" else f"{event.kind} {event.name}",
            "cat": "compile_phase" if event.kind == "phase" else event.kind, "pid": pid,
            "tid": tid, "ts": event.start_ns, "args": _compile_args(event),
        }  # fmt: skip
        yield {"ph": "X", "dur": duration_ns, **common} if whole else {
            "ph": "i", "s": "t", **common,
        }  # fmt: skip


def _compile_args(event: CompileEvent) -> dict[str, Any]:
    args = {
        "function": event.function, "file": event.file, "line": event.line,
        "reason": event.reason, "compile_id": event.compile_id, "step": event.step_index,
        "under_way": (event.duration_ns is None and event.kind in _WHOLE) or None,
        **event.detail,
    }  # fmt: skip
    return {name: value for name, value in args.items() if value is not None}


def _allocators(source: Source, tracks: Tracks) -> Iterator[Mapping[str, Any]]:
    for sample in source.rows(pages.MEMORY_SAMPLES, "memory"):
        figures = {
            "allocated MiB": _mib(sample.allocated_bytes),
            "reserved MiB": _mib(sample.reserved_bytes),
        }
        yield from _counter(
            tracks.pid(sample.process_id), f"memory of {sample.device}", sample.at_ns, figures
        )
    for event in memory.out_of_memory(source.recording):
        pid, tid = tracks.of(event.process_id, "out of memory", order=3)
        yield {"ph": "i", "s": "p", "name": "out of memory", "cat": "memory", "pid": pid,
               "tid": tid, "ts": event.at_ns,
               "args": {"device": event.device, "message": event.message}}  # fmt: skip


def _gpus(source: Source, tracks: Tracks) -> Iterator[Mapping[str, Any]]:
    pids = {
        gpu.id: tracks.other(f"GPU {gpu.index} {gpu.name}")
        for gpu in devices.devices(source.recording)
    }
    for sample in source.rows(pages.DEVICE_SAMPLES, "GPU readings"):
        pid = pids.get(sample.device_id)
        if pid is not None:
            for name, figures in _gpu_figures(sample):
                yield from _counter(pid, name, sample.at_ns, figures)


def _gpu_figures(sample: DeviceSample) -> Iterator[tuple[str, dict[str, float | None]]]:
    yield "utilisation", {"%": _percent(sample.utilization_ratio)}
    yield "memory", {"MiB": _mib(sample.memory_used_bytes)}
    yield "power", {"W": sample.power_w}
    yield "temperature", {"°C": sample.temperature_c}
    yield "SM clock", {"MHz": _scaled(sample.sm_clock_hz, 1e6)}
    yield (
        "PCIe",
        {
            "received MiB/s": _mib(sample.pcie_rx_bytes_per_s),
            "sent MiB/s": _mib(sample.pcie_tx_bytes_per_s),
        },
    )
    yield (
        "NVLink",
        {
            "received MiB/s": _mib(sample.nvlink_rx_bytes_per_s),
            "sent MiB/s": _mib(sample.nvlink_tx_bytes_per_s),
        },
    )


def _host(source: Source, tracks: Tracks) -> Iterator[Mapping[str, Any]]:
    if latest(source.recording) is None:
        return
    pid = tracks.other(f"host {source.run.host}")
    for sample in source.rows(pages.HOST_SAMPLES, "host readings"):
        for name, figures in _host_figures(sample):
            yield from _counter(pid, name, sample.at_ns, figures)


def _host_figures(sample: HostSample) -> Iterator[tuple[str, dict[str, float | None]]]:
    yield "CPU", {"%": _percent(sample.cpu_ratio)}
    yield "CPU of the run", {"cores": sample.run_cpu_ratio}
    yield "memory", {"MiB": _mib(sample.memory_used_bytes)}
    yield "memory of the run", {"MiB": _mib(sample.run_rss_bytes)}
    yield (
        "disk",
        {
            "read MiB/s": _mib(sample.disk_read_bytes_per_s),
            "written MiB/s": _mib(sample.disk_write_bytes_per_s),
        },
    )
    yield (
        "network",
        {
            "received MiB/s": _mib(sample.network_rx_bytes_per_s),
            "sent MiB/s": _mib(sample.network_tx_bytes_per_s),
        },
    )


def _remarks(source: Source, tracks: Tracks) -> Iterator[Mapping[str, Any]]:
    """Marks and notices at their time; findings, which are of the whole run, at its end."""
    instant = {"ph": "i", "s": "t"}
    for mark in run.marks(source.recording):
        if source.stretch.overlaps(mark.at_ns, mark.at_ns):
            pid, tid = tracks.of(mark.process_id, "marks", order=2)
            text = mark.name if mark.value is None else f"{mark.name} {mark.value}"
            yield {**instant, "cat": "mark", "name": text, "pid": pid, "tid": tid,
                   "ts": mark.at_ns}  # fmt: skip
    own = tracks.other("fwtop")
    for notice in run.notices(source.recording):
        if source.stretch.overlaps(notice.at_ns, notice.at_ns):
            process = next((p for p in source.processes if p.id == notice.process_id), None)
            yield {**instant, "cat": f"notice {notice.severity}", "name": notice.code, "pid": own,
                   "tid": tracks.tid(own, "notices"), "ts": notice.at_ns,
                   "args": {"text": notice.text, "next": notice.next,
                            "process": named(process) if process else None}}  # fmt: skip
    facts = gather(source.recording, source.stretch.end_ns)
    for number, finding in enumerate(find(facts), 1):
        yield {**instant, "cat": f"finding {finding.severity}", "name": finding.code, "pid": own,
               "tid": tracks.tid(own, f"finding {number}"), "ts": facts.duration_ns,
               "args": {"why": finding.why, "next": finding.next,
                        "evidence": finding.evidence}}  # fmt: skip


def _counter(
    pid: int, name: str, at_ns: int, figures: Mapping[str, float | None]
) -> Iterator[Mapping[str, Any]]:
    """Nothing where nothing is known: a gap, not a zero."""
    known = {
        unit: value for unit, value in figures.items() if value is not None and isfinite(value)
    }
    if known:
        yield {"ph": "C", "pid": pid, "tid": 0, "name": valid(name), "ts": at_ns, "args": known}


def _mib(size_bytes: float | None) -> float | None:
    return _scaled(size_bytes, _MIB)


def _percent(ratio: float | None) -> float | None:
    return _scaled(ratio, 0.01)


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else round(value / scale, 3)
