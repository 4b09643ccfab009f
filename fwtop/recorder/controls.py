"""Answers the viewers' requests (`fwtop.control`): one line in, one line out."""

from __future__ import annotations

import base64
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import msgspec

from fwtop import control
from fwtop.recorder import statements as sql
from fwtop.recorder.server import Connection
from fwtop.recording.labels import SET_LABELS, labels_row
from fwtop_profilers import wire

if TYPE_CHECKING:
    from fwtop.recorder.supervisor import Supervisor

VIEWER = 0
"""`marks.process_id` of a mark that a viewer placed."""
MAX_MARK = 200


class Controls:
    """The control socket of one run."""

    def __init__(self, run: Supervisor) -> None:
        self._run = run
        self._budget: wire.SetBudget | None = None

    def listen(self, listener: socket.socket) -> None:
        """Take requests on a socket of `server.bind`."""
        self._run.server.listen(listener, control.MAX_REQUEST_BYTES, self._line, lambda *_: None)

    def welcome(self, connection: Connection) -> None:
        """Tell a new probe what was changed before it came."""
        if self._budget is not None:
            connection.send(wire.encode(self._budget))

    def _line(self, connection: Connection, line: bytes) -> None:
        try:
            answer = self._answer(control.decode(line))
        except control.ControlError as error:
            answer = {"error": str(error)}
        if not connection.send(msgspec.json.encode(answer) + b"\n"):
            self._run.server.drop(connection, "does not read")

    def _answer(self, request: control.Request) -> dict[str, Any]:
        run = self._run
        match request:
            case control.Ping():
                return self._ping()
            case control.SendSignal(number):
                if not 1 <= number <= 64:
                    raise control.ControlError(f"{number} is no signal")
                return self._ask_shim({"signal": number})
            case control.SendInput(data):
                try:
                    base64.b64decode(data, validate=True)
                except ValueError as error:
                    raise control.ControlError(f"not base64: {error}") from error
                return self._ask_shim({"input": data})
            case control.ResizeTerminal(rows, columns):
                return self._ask_shim({"resize": [rows, columns]})
            case control.CaptureWindow(deep, steps):
                return self._tell_probes(wire.Capture(deep, max(1, min(steps, 1000))))
            case control.SetOverhead(ratio):
                if not 0 <= ratio <= 1:
                    raise control.ControlError(f"an overhead of {ratio} is not within 0 and 1")
                self._budget = wire.SetBudget(ratio)
                return self._tell_probes(self._budget)
            case control.PlaceMark(name):
                at_ns = time.monotonic_ns() - run.started_ns
                run.writer.add(sql.MARK, (VIEWER, at_ns, name[:MAX_MARK], None))
                return {"at_ns": at_ns}
            case control.Label(label, tags):
                run.writer.add(SET_LABELS, labels_row(label, tags))
                return {"name": label, "tags": list(tags)}

    def _ping(self) -> dict[str, Any]:
        run = self._run
        processes = run.ingest.processes.values()
        ratios = [p.measured_ratio for p in processes if p.measured_ratio is not None]
        return {
            "pid": os.getpid(),
            "run_id": run.spec.run_id,
            "state": run.state,
            "recording": run.spec.live_recording,
            "script_pid": run.shim.script_pid,
            "processes": len(processes),
            "frameworks": sorted(set().union(*(p.frameworks for p in processes))),
            "steps": max((p.last_index + 1 for p in processes), default=0),
            "windows": sum(p.windows for p in processes),
            "measured_ratio": max(ratios, default=None),
            "cannot_write": run.writer.failure,
        }

    def _ask_shim(self, body: dict[str, Any]) -> dict[str, Any]:
        shim = self._run.shim_connection
        if shim is None or not shim.send(msgspec.json.encode(body) + b"\n"):
            raise control.ControlError("the script has ended, or its shim has")
        return {"sent": True}

    def _tell_probes(self, message: Any) -> dict[str, Any]:
        line = wire.encode(message)
        probes = self._run.probes()
        return {"processes": sum(probe.send(line) for probe in probes)}
