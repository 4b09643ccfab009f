"""Events of Chrome's trace format on their way out: encoding, and which track is whose.

A track is a process and a thread by number. Each process of the run has its own pid; the host, the
GPUs and fwtop itself get numbers that no system gives to a process. Threads are numbered through
the whole file, because Perfetto tells them apart by their number alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from fwtop.export.source import named
from fwtop.export.texts import cleaned
from fwtop.recording.model import Process

FIRST_OTHER = 100_000_000
"""Pids end at 2^22 on Linux, below 100,000 on macOS."""
MOST_LANES = 64


def at_us(time_ns: int) -> str:
    """Nanoseconds as microseconds, exactly."""
    whole, part = divmod(abs(time_ns), 1000)
    return f"{'-' if time_ns < 0 else ''}{whole}.{part:03}"


class Writer:
    """Writes events, one a line, with commas between them."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._separator = b""

    def write(self, events: Iterable[Mapping[str, Any] | bytes]) -> None:
        """Events, or the JSON of some. `ts` and `dur` of the former are nanoseconds."""
        out, encode, separator = self._out, msgspec.json.encode, self._separator
        for event in events:
            if not isinstance(event, bytes):
                event = encode(_timed(event))
            out.write(separator + event)
            separator = b",\n"
        self._separator = separator


def _timed(event: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = cleaned(event)
    body["ts"] = msgspec.Raw(at_us(event["ts"]).encode())
    if "dur" in event:
        body["dur"] = msgspec.Raw(at_us(event["dur"]).encode())
    return body


class Tracks:
    """Hands out pids and tids, and knows their names."""

    def __init__(self, processes: Sequence[Process]) -> None:
        pids = {one.id: one.pid for one in processes if one.pid and one.pid < FIRST_OTHER}
        unique = len(set(pids.values())) == len(processes)
        self._processes = {process.id: process for process in processes}
        self._pids = pids if unique else {one.id: one.id for one in processes}
        self._others: dict[str, int] = {}
        self._tids: dict[tuple[int, str, int], int] = {}
        self._orders: dict[int, int] = {}

    def pid(self, process_id: int) -> int:
        """The pid of a process of the run, by its id in the recording."""
        return self._pids.setdefault(process_id, process_id)

    def other(self, name: str) -> int:
        """The pid of what is no process of the run."""
        return self._others.setdefault(name, FIRST_OTHER + len(self._others))

    def tid(self, pid: int, name: str, lane: int = 0, order: int = 10) -> int:
        """The thread of that name in `pid`: a new one, or the one of before."""
        tid = self._tids.setdefault((pid, name, lane), len(self._tids) + 1)
        self._orders.setdefault(tid, order)
        return tid

    def of(self, process_id: int, name: str, lane: int = 0, order: int = 10) -> tuple[int, int]:
        """Pid and tid of a named track of a process of the run."""
        pid = self.pid(process_id)
        return pid, self.tid(pid, name, lane, order)

    def metadata(self) -> Iterator[Mapping[str, Any]]:
        """The names and the order of all tracks that were handed out."""
        used = {pid for pid, _, _ in self._tids}
        order = 0
        for process_id, pid in self._pids.items():
            process = self._processes.get(process_id)
            if process is not None or pid in used:
                argv = " ".join(process.argv)[:80] if process else ""
                name = named(process) + (f" · {argv}" if argv else "")
                yield from _process(pid, name, order)
                order += 1
        for name, pid in self._others.items():
            yield from _process(pid, name, order)
            order += 1
        for (pid, name, lane), tid in self._tids.items():
            title = f"{name} ({lane + 1})" if lane else name
            yield _named("thread_name", pid, tid, {"name": title})
            yield _named("thread_sort_index", pid, tid, {"sort_index": self._orders[tid]})


def _process(pid: int, name: str, order: int) -> Iterator[Mapping[str, Any]]:
    yield _named("process_name", pid, 0, {"name": name})
    yield _named("process_sort_index", pid, 0, {"sort_index": order})


def _named(what: str, pid: int, tid: int, args: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": args}


class Lanes:
    """Puts spans that partly overlap on as many tracks as it takes for each to nest, or, without
    `nest`, for none to overlap."""

    def __init__(self, nest: bool = True) -> None:
        self._nest = nest
        self._open: list[list[int]] = []

    def take(self, start: int, end: int) -> int:
        """The lane for a span; spans come by start, an enclosing one first."""
        for lane, ends in enumerate(self._open):
            while ends and ends[-1] <= start:
                ends.pop()
            if not ends or (self._nest and end <= ends[-1]):
                ends.append(end)
                return lane
        if len(self._open) == MOST_LANES:
            return MOST_LANES - 1
        self._open.append([end])
        return len(self._open) - 1
