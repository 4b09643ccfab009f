"""One run's life, from the shim's start to the finished file.

Owns the order of things and the recorder's only loop: starting → running → finishing → finished,
or `lost` where nobody can say how the script ended. The parts know nothing of each other.
"""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass
from typing import Any

from fwtop.devices.samples import Samples
from fwtop.launch.provenance import Revision, revision
from fwtop.launch.spec import LaunchSpec
from fwtop.recorder import shim_client
from fwtop.recorder import statements as sql
from fwtop.recorder.controls import Controls
from fwtop.recorder.ingest import BadMessageError, Ingest, ProcessState
from fwtop.recorder.notices import Notices
from fwtop.recorder.output import OutputReader
from fwtop.recorder.sampling import DeviceRows, Sampling, scope_of
from fwtop.recorder.server import Connection, Server
from fwtop.recorder.shim_client import Exit, ShimState
from fwtop.recorder.traced import DecodedWindow
from fwtop.recorder.windows import WindowWorker
from fwtop.recorder.writer import PENDING_ROWS, Finish, Writer
from fwtop.run_folder import RunFolder
from fwtop_profilers.wire import MAX_LINE_BYTES

FLUSH_S = 0.5
PROBE_GRACE_S = 2.0
"""After the script's end, for probes that are still connected."""
WINDOW_GRACE_S = 30.0
"""After the script's end, for windows that are still being decoded."""
GIT_GRACE_S = 1.0
FULL_DISK_GRACE_S = 5.0
MAX_BAD_MESSAGES = 20
"""A connection that sends more of them is dropped."""
MAX_INBOX = 256

Delivery = Samples | DecodedWindow | Revision


@dataclass(frozen=True)
class Outcome:
    """How the run ended, as far as is known."""

    state: str
    exit_status: int | None
    exit_signal: int | None
    error: str | None
    stored: bool
    """False: what pends could not be written, and the run folder has to stay."""
    plain: bool
    """False: a reader kept it in WAL mode, so it is more than one file."""


class Supervisor:
    """Runs one recording until its script has ended."""

    def __init__(
        self,
        folder: RunFolder,
        spec: LaunchSpec,
        shim: ShimState,
        writer: Writer,
        server: Server,
        started_ns: int,
    ) -> None:
        self.folder = folder
        self.spec = spec
        self.shim = shim
        self.writer = writer
        self.server = server
        self.started_ns = started_ns
        self.notices = Notices(writer, started_ns)
        self.state = "running"
        self.ingest = Ingest(writer, self.notices, started_ns, self._window)
        self.output = OutputReader(folder, writer.query("SELECT max(id) FROM log")[0][0])
        known = dict(writer.query("SELECT device_key, id FROM devices"))
        self.devices = DeviceRows(writer, self.notices, started_ns, known)
        self.sampling = Sampling(spec.interval_s, self._deliver)
        last_window = writer.query("SELECT max(id) FROM windows")[0][0] or 0
        self.windows = WindowWorker(
            folder.windows, started_ns, last_window + 1, spec.trace_budget_bytes, self._deliver
        )
        self.controls = Controls(self)
        self.shim_connection: Connection | None = None
        self._inbox: deque[Delivery] = deque(maxlen=MAX_INBOX)
        self._exit: Exit | None = None
        self._shim_gone = False
        self._said_full = False

    def restore(self) -> None:
        """Take over from a recorder that died."""
        rows = self.writer.query(
            "SELECT id, pid, process_key, (SELECT max(step_index) FROM steps "
            "WHERE process_id = processes.id) FROM processes ORDER BY id"
        )
        self.ingest.restore(rows)
        self.notices.add(
            "warning",
            "recorder_restarted",
            "the recorder died and another one took over: what the probes sent in between may be "
            "missing, the script was not concerned",
            once=False,
        )

    def listen(self, probes: socket.socket, viewers: socket.socket) -> None:
        """Take connections on the two sockets, and connect to the shim."""
        self.server.listen(probes, MAX_LINE_BYTES, self._probe_line, self._probe_end)
        self.controls.listen(viewers)
        shim = self.folder.connect_shim()
        if shim is None:
            self._shim_gone = True
        else:
            self.shim_connection = Connection(shim, self._shim_line, self._shim_end, 1 << 16)
            self.server.adopt(self.shim_connection)

    def run(self) -> Outcome:
        """Record until the script has ended and everything is written."""
        self.sampling.start()
        git = threading.Thread(target=self._revision, name="git", daemon=True)
        git.start()
        next_flush = 0.0
        while True:
            self.server.poll(max(0.0, min(FLUSH_S, next_flush - time.monotonic())))
            self._take_deliveries()
            if time.monotonic() >= next_flush or self.writer.pending > PENDING_ROWS:
                self._flush()
                next_flush = time.monotonic() + FLUSH_S
            if self._ended():
                git.join(GIT_GRACE_S)
                return self._finish()

    def probes(self) -> list[Connection]:
        """The connections of the probes."""
        return self.server.connections(self._probe_line)

    # --- what arrives -----------------------------------------------------------------------------

    def _probe_line(self, connection: Connection, line: bytes) -> None:
        context: _Probe = connection.context or _Probe()
        connection.context = context
        known = context.process
        try:
            context.process = self.ingest.line(known, line)
        except BadMessageError as error:
            context.bad += 1
            self._bad_message(context, str(error))
            if known is None or context.bad > MAX_BAD_MESSAGES:
                self.server.drop(connection, str(error))
            return
        except Exception as error:  # a mistake of ours in one message may not end the recording
            traceback.print_exc()
            self._bad_message(context, f"{type(error).__name__} in the recorder: {error}")
            return
        if context.process is not known:
            self.controls.welcome(connection)

    def _bad_message(self, context: _Probe, error: str) -> None:
        process = context.process
        who = "something" if process is None else f"the probe of process {process.pid}"
        self.notices.add(
            "warning",
            "bad_message",
            f"{who} sent what is no message of a probe's: {error}",
            process_id=None if process is None else process.id,
        )

    def _probe_end(self, connection: Connection, why: str) -> None:
        context: _Probe | None = connection.context
        if context is not None and context.process is not None:
            self.ingest.gone(context.process, time.monotonic_ns())
        if why.startswith("a line"):
            self._bad_message(context or _Probe(), why)

    def _shim_line(self, connection: Connection, line: bytes) -> None:
        failure = shim_client.failure_told(line)
        if failure is not None:
            self._shim_failed(failure, "")

    def _shim_failed(self, failure: str, times: str) -> None:
        self.notices.add(
            "warning",
            "shim_failed",
            f"the process that holds the script's output failed{times} and went on: {failure}",
            "some output may be missing, the script was not concerned; please report it",
        )

    def _shim_end(self, connection: Connection, why: str) -> None:
        self._shim_gone = True
        self.shim_connection = None

    def _window(self, window: Any) -> None:
        self.windows.add(window)

    def _deliver(self, delivery: Delivery) -> None:
        """Called on the workers' threads."""
        self._inbox.append(delivery)
        if isinstance(delivery, DecodedWindow):
            self.server.wake()

    def _revision(self) -> None:
        self._deliver(revision(self.spec.cwd))

    def _take_deliveries(self) -> None:
        while self._inbox:
            delivery = self._inbox.popleft()
            if isinstance(delivery, DecodedWindow):
                self.writer.add_window(delivery)
            elif isinstance(delivery, Samples):
                self.devices.add(delivery)
                roots = {self.shim.script_pid} | {p.pid for p in self.ingest.processes.values()}
                self.sampling.scope = scope_of(
                    roots, self.ingest.device_uuids, self.sampling.scope, delivery
                )
            elif delivery.commit is not None:
                dirty = None if delivery.dirty is None else int(delivery.dirty)
                self.writer.add(sql.RUN_REVISION, (delivery.commit, dirty))

    # --- what is written --------------------------------------------------------------------------

    def _flush(self, force: bool = False) -> bool:
        """Write what pends, the output first; returns whether there may be more output."""
        read = 0
        if self.writer.failure is None or force:
            chunks = self.output.read()
            read = len(chunks)
            self.writer.add(
                sql.LOG,
                *((c.id, c.at_ns - self.started_ns, c.stream, c.data) for c in chunks),
            )
        if self.writer.flush(force):
            self.output.committed()
            if self._said_full:
                self._said_full = False
                self.notices.add(
                    "info", "writing_again",
                    f"the recording can be written again; {self.writer.rows_lost} rows were lost",
                    once=False,
                )  # fmt: skip
        elif not self._said_full:
            self._said_full = True
            self.notices.add(
                "error", "cannot_write",
                f"the recording cannot be written: {self.writer.failure}",
                "make room on the disk; training is not concerned",
                once=False,
            )  # fmt: skip
        return read > 0

    # --- the end ----------------------------------------------------------------------------------

    def _ended(self) -> bool:
        if self._exit is None and self._shim_gone:
            self._exit = shim_client.read_exit(self.folder)
            if self._exit is None and not self._shim_was_killed():
                return False
        return self._shim_gone

    def _shim_was_killed(self) -> bool:
        """Without a shim, the script's own process says when it is over."""
        if not shim_client.script_alive(self.shim):
            return True
        self.notices.add(
            "error",
            "shim_gone",
            "the process that held the script's output is gone: no output is recorded any more, "
            "and how the script ends cannot be known",
            "stop the run and start it again if you need its output",
        )
        return False

    def _finish(self) -> Outcome:
        self.state = "finishing"
        self._drain_probes()
        self._drain_windows()
        self.sampling.stop()
        self._take_deliveries()
        end = self._exit
        if end is not None and end.bytes_lost:
            self.notices.add(
                "warning", "output_lost",
                f"{end.bytes_lost} bytes of the script's output are not recorded",
                "there was no room for them in the temporary folder",
            )  # fmt: skip
        if end is not None and end.failures:
            times = "" if end.failures == 1 else f" {end.failures} times"
            self._shim_failed(end.failure, times)
        if end is not None and end.error:
            self.notices.add("error", "not_started", end.error)
        self._count_bad_rows()
        self._set_end("finishing")
        stored = self._flush_all()
        state = "finished" if end is not None else "lost"
        left = self.writer.finish(state) if stored else Finish(stored=False, plain=False)
        status, signal = (None, None) if end is None else (end.exit_status, end.exit_signal)
        return Outcome(state, status, signal, end.error if end else None, *left)

    def _drain_probes(self) -> None:
        deadline = time.monotonic() + PROBE_GRACE_S
        while self.server.poll(0.0) or (self.probes() and time.monotonic() < deadline):
            self.server.poll(0.05)
            if self.writer.pending > PENDING_ROWS:
                self._flush()
            if time.monotonic() > deadline:
                break

    def _drain_windows(self) -> None:
        deadline = time.monotonic() + WINDOW_GRACE_S
        while self.windows.waiting and time.monotonic() < deadline:
            self.server.poll(0.2)
            self._take_deliveries()
        self.windows.stop()

    def _count_bad_rows(self) -> None:
        if self.writer.bad_rows or self.writer.rows_lost:
            self.notices.add(
                "warning", "rows_lost",
                f"{self.writer.rows_lost} rows were lost while the recording could not be written, "
                f"{self.writer.bad_rows} were refused as impossible",
            )  # fmt: skip

    def _set_end(self, state: str) -> None:
        end = self._exit
        if end is None:
            self.writer.add(sql.RUN_END, (state, None, None, None))
        else:
            duration = max(0, end.ended_monotonic_ns - self.started_ns)
            row = (state, duration, end.exit_status, end.exit_signal)
            self.writer.add(sql.RUN_END, row)

    def _flush_all(self) -> bool:
        """Write everything, with some patience for a full disk."""
        deadline = time.monotonic() + FULL_DISK_GRACE_S
        while True:
            more = self._flush(force=True)
            if self.writer.failure is None and not more and self.writer.pending == 0:
                return True
            if self.writer.failure is not None:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.2)


@dataclass
class _Probe:
    """What a probe's connection is about."""

    process: ProcessState | None = None
    bad: int = 0
