"""From the probes' messages to the recording's rows.

Owns what is known of each process while the run lasts (little: no step is kept). Does no I/O: rows
go to the writer, windows to the worker, words to the notices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fwtop.recorder import statements as sql
from fwtop.recorder.notices import Notices
from fwtop.recorder.rollups import Row
from fwtop.recorder.writer import Writer
from fwtop_profilers import wire

MAX_STEPS_A_MESSAGE = 100_000
MAX_TEXT = 4000


class BadMessageError(Exception):
    """What a probe sent is no message, or not one that may come now."""


class _Envelope(msgspec.Struct):
    type: str
    body: msgspec.Raw


@dataclass
class ProcessState:
    """What the recorder remembers of one process."""

    id: int
    pid: int
    key: str
    last_index: int = -1
    steps: int = 0
    measured_ratio: float | None = None
    windows: int = 0
    window_failure: str = ""
    said_goodbye: bool = False
    frameworks: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class WindowOf:
    """A window message and the process that sent it."""

    process_id: int
    message: wire.Window


class Ingest:
    """Turns messages into rows. `start_ns` is the run's start on the monotonic clock."""

    def __init__(
        self,
        writer: Writer,
        notices: Notices,
        start_ns: int,
        on_window: Callable[[WindowOf], None],
    ) -> None:
        self.processes: dict[str, ProcessState] = {}
        self.device_uuids: frozenset[str] = frozenset()
        self._writer = writer
        self._notices = notices
        self._start_ns = start_ns
        self._on_window = on_window
        self._envelope = msgspec.json.Decoder(_Envelope)
        self._kinds: dict[str, tuple[Any, Callable[[ProcessState, Any], None]]] = {
            kind.__name__: (msgspec.json.Decoder(kind), getattr(self, f"_{kind.__name__.lower()}"))
            for kind in wire.FROM_PROBE
            if kind is not wire.Hello
        }
        self._hello_decoder = msgspec.json.Decoder(wire.Hello)

    def restore(self, rows: list[Any]) -> None:
        """Know the processes of an earlier recorder: rows of (id, pid, process_key, last index)."""
        for number, pid, key, last in rows:
            self.processes[key] = ProcessState(number, pid, key, -1 if last is None else last)

    def line(self, process: ProcessState | None, line: bytes) -> ProcessState:
        """Take one line of a connection whose process is known after its Hello.

        Raises BadMessageError; the caller decides whether the connection may go on.
        """
        try:
            envelope = self._envelope.decode(line)
            if envelope.type == "Hello":
                return self._hello(self._hello_decoder.decode(envelope.body))
            if process is None:
                raise BadMessageError(f"{envelope.type[:40]} before Hello")
            decoder, take = self._kinds[envelope.type]
            take(process, decoder.decode(envelope.body))
            return process
        except KeyError as error:
            raise BadMessageError(f"unknown message {str(error)[:40]}") from error
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadMessageError(str(error)[:200]) from error

    def gone(self, process: ProcessState, now_ns: int) -> None:
        """The connection ended. It may come back, and then is not ended after all."""
        if not process.said_goodbye:
            self._writer.add(sql.PROCESS_ENDED, (self._at(now_ns), process.id))

    def _at(self, monotonic_ns: int) -> int:
        return monotonic_ns - self._start_ns

    # --- one method a message ---------------------------------------------------------------------

    def _hello(self, hello: wire.Hello) -> ProcessState:
        if hello.wire_version != wire.WIRE_VERSION:
            raise BadMessageError(
                f"wire version {hello.wire_version}, this recorder speaks {wire.WIRE_VERSION}"
            )
        known = self.processes.get(hello.process_key)
        if known is None:
            known = ProcessState(len(self.processes) + 1, hello.pid, hello.process_key)
            self.processes[hello.process_key] = known
        else:
            self._writer.add(sql.PROCESS_ENDED, (None, known.id))
        known.said_goodbye = False
        self._writer.add(
            sql.PROCESS,
            (
                known.id, hello.process_key, hello.pid, hello.parent_pid, _json(hello.argv),
                hello.executable, hello.python_version, hello.host, hello.node, hello.rank,
                hello.local_rank, hello.world_size, self._at(hello.started_ns),
            ),
        )  # fmt: skip
        return known

    def _framework(self, process: ProcessState, message: wire.Framework) -> None:
        process.frameworks.add(message.name)
        row = (process.id, message.name, message.version, _json(message.hooks))
        self._writer.add(sql.FRAMEWORK, row)
        if message.device is not None or message.device_uuid is not None:
            self._writer.add(sql.PROCESS_DEVICE, (message.device, message.device_uuid, process.id))
        if message.device_uuid:
            self.device_uuids |= {message.device_uuid}

    def _rank(self, process: ProcessState, message: wire.Rank) -> None:
        row = (message.rank, message.local_rank, message.world_size, process.id)
        self._writer.add(sql.PROCESS_RANK, row)

    def _steps(self, process: ProcessState, message: wire.Steps) -> None:
        count = len(message.start_ns)
        none: list[int | None] = [None] * count
        columns = [message.phases.get(phase, none) for phase in wire.PHASES[:-1]]
        samples = none if message.samples is None else message.samples
        _same_length(count, message.duration_ns, message.flags, samples, *columns)
        first = message.first_index
        missing = first - (process.last_index + 1)
        if missing > 0:
            self._notices.add(
                "warning",
                "steps_lost",
                f"steps {process.last_index + 1} to {first - 1} of process {process.pid} are not "
                "recorded: they were lost on the way",
                process_id=process.id,
            )
        skip = max(0, process.last_index + 1 - first)  # sent again after a reconnection
        rows: list[Row] = [
            (process.id, first + n, self._at(message.start_ns[n]), max(0, message.duration_ns[n]),
             *(column[n] for column in columns), message.flags[n], samples[n])
            for n in range(skip, count)
        ]  # fmt: skip
        if rows:
            process.last_index = first + count - 1
            process.steps += len(rows)
            self._writer.add_steps(rows)

    def _devicesteps(self, process: ProcessState, message: wire.DeviceSteps) -> None:
        none: list[int | None] = [None] * len(message.indices)
        columns = [message.phases.get(phase, none) for phase in wire.PHASES[:-1]]
        _same_length(len(message.indices), message.duration_ns, *columns)
        self._writer.add(
            sql.DEVICE_STEP,
            *(
                (process.id, index, message.duration_ns[n], *(column[n] for column in columns))
                for n, index in enumerate(message.indices)
            ),
        )

    def _stepsource(self, process: ProcessState, message: wire.StepSource) -> None:
        row = (message.source, message.detail, process.id)
        self._writer.add(sql.PROCESS_STEP_SOURCE, row)

    def _window(self, process: ProcessState, message: wire.Window) -> None:
        process.windows += 1
        self._on_window(WindowOf(process.id, message))

    def _windowfailed(self, process: ProcessState, message: wire.WindowFailed) -> None:
        if message.reason == process.window_failure:  # said already; a retry failed the same way
            return
        process.window_failure = message.reason
        self._notices.add(
            "warning",
            "window_failed",
            f"no trace window in process {process.pid}: {message.reason}",
            process_id=process.id,
            at_ns=self._at(message.at_ns),
        )

    def _governor(self, process: ProcessState, message: wire.Governor) -> None:
        process.measured_ratio = message.measured_ratio
        next_ns = message.next_window_ns
        self._writer.add(
            sql.GOVERNOR,
            (
                process.id, self._at(message.at_ns), message.budget_ratio, message.measured_ratio,
                message.elapsed_ns, message.cost_ns, message.hook_cost_ns, message.windows,
                None if next_ns is None else self._at(next_ns), message.waiting_for,
            ),
        )  # fmt: skip

    def _compileevent(self, process: ProcessState, event: wire.CompileEvent) -> None:
        self._writer.add(
            sql.COMPILE_EVENT,
            (
                process.id, event.key, event.parent_key, event.kind, event.name, event.compile_id,
                self._at(event.start_ns), event.duration_ns, event.function, event.file,
                event.line, event.reason, event.step_index, _json(event.detail),
            ),
        )  # fmt: skip

    def _memory(self, process: ProcessState, message: wire.Memory) -> None:
        self._writer.add(
            sql.MEMORY,
            (
                process.id, self._at(message.at_ns), message.device, message.allocated_bytes,
                message.reserved_bytes, message.active_bytes, message.allocated_peak_bytes,
                message.reserved_peak_bytes, message.retries, message.ooms,
            ),
        )  # fmt: skip

    def _outofmemory(self, process: ProcessState, message: wire.OutOfMemory) -> None:
        at_ns = self._at(message.at_ns)
        text = message.message[:MAX_TEXT]
        row = (process.id, at_ns, message.device, text, _json(message.holders))
        self._writer.add(sql.OUT_OF_MEMORY, row)
        self._notices.add(
            "error",
            "out_of_memory",
            f"{message.device} ran out of memory in process {process.pid}",
            process_id=process.id,
            at_ns=at_ns,
            once=False,
        )

    def _mark(self, process: ProcessState, message: wire.Mark) -> None:
        row = (process.id, self._at(message.at_ns), message.name, message.value)
        self._writer.add(sql.MARK, row)

    def _probefailure(self, process: ProcessState, message: wire.ProbeFailure) -> None:
        last = message.traceback.strip().rpartition("\n  File ")[2].partition("\n")[0]
        self._notices.add(
            "warning",
            "probe_failure",
            f"{message.hook} was switched off in process {process.pid}: {message.error}"
            + (f" ({last})" if last else ""),
            next="the script went on; what this hook sees is missing; please report it",
            process_id=process.id,
            at_ns=self._at(message.at_ns),
        )

    def _losses(self, process: ProcessState, message: wire.Losses) -> None:
        self._writer.add(sql.PROCESS_DROPPED, (message.messages_dropped, process.id))

    def _goodbye(self, process: ProcessState, message: wire.Goodbye) -> None:
        process.said_goodbye = True
        self._writer.add(sql.PROCESS_ENDED, (self._at(message.at_ns), process.id))


def _same_length(count: int, *columns: list[Any]) -> None:
    if count > MAX_STEPS_A_MESSAGE or any(len(column) != count for column in columns):
        raise BadMessageError("columns of different length")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
