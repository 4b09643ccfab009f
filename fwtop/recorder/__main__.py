"""The recorder's process: `python …/recorder/__main__.py DESCRIPTOR [--resume]`.

Run by path and never with `-m`, which would let modules in the user's working folder shadow ours.
DESCRIPTOR is a socket to who started it, who names the run folder, once it is ready, in one line;
nothing has begun before. The answers are JSON objects, one a line: `{"event": "ready", …}` or
`{"event": "error", "text", "next"}`, and at the end `{"event": "finished", …}`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # The script's own folder comes first on sys.path, and holds modules named like others.
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

import contextlib
import fcntl
import json
import os
import signal
import socket
import time
import traceback
from typing import IO, TYPE_CHECKING, Any

from fwtop import __version__
from fwtop.launch import environment, provenance, spec
from fwtop.recorder import shim_client, writer
from fwtop.recorder.server import Server, bind
from fwtop.recorder.shim_client import ShimState
from fwtop.recorder.writer import Writer
from fwtop.recording.store import RecordingError
from fwtop.run_folder import RunFolder

if TYPE_CHECKING:
    from fwtop.recorder.supervisor import Outcome, Supervisor

NICENESS = 5
START_TIMEOUT_S = 20.0


class StartError(Exception):
    """The run cannot start, or cannot be taken over."""

    def __init__(self, text: str, next: str = "") -> None:
        super().__init__(text)
        self.next = next


class Parent:
    """Who started us, as long as they listen."""

    def __init__(self, descriptor: int) -> None:
        self._socket: socket.socket | None = socket.socket(fileno=descriptor)

    def folder(self) -> RunFolder | None:
        """The run folder; None if there will be no run after all."""
        assert self._socket is not None
        with self._socket.makefile("rb") as lines:
            line = lines.readline()
        return RunFolder(Path(os.fsdecode(line[:-1]))) if line.endswith(b"\n") else None

    def tell(self, **body: object) -> None:
        """Send one line; nobody may be there any more."""
        if self._socket is None:
            return
        try:
            self._socket.sendall(json.dumps(body).encode("ascii") + b"\n")
        except OSError:
            self._socket = None


def main() -> int:
    """Record one run. Returns the process's exit status."""
    parent = Parent(int(sys.argv[1]))
    folder = parent.folder()
    if folder is None:
        return 0
    try:
        return _run(folder, parent, resumed="--resume" in sys.argv[2:])
    except (StartError, RecordingError) as error:
        parent.tell(event="error", text=str(error), next=error.next)
    except Exception as error:
        traceback.print_exc()
        parent.tell(event="error", text=f"{type(error).__name__}: {error}", next="")
    return 1


def _run(folder: RunFolder, parent: Parent, resumed: bool) -> int:
    with _lock(folder):
        launch = spec.LaunchSpec(**json.loads(folder.launch.read_bytes()))
        stdio = _move_standard_streams(folder, keep=launch.pass_through and not resumed)
        sockets = bind(folder.probe_socket), bind(folder.control_socket)
        recording, shim, started_ns = (_resume if resumed else _start)(folder, launch, stdio)
        from fwtop.recorder.supervisor import Supervisor

        run = Supervisor(folder, launch, shim, recording, Server(), started_ns)
        if resumed:
            run.restore()
        run.listen(*sockets)
        _step_back()
        _write_recorder_json(folder, launch)
        parent.tell(event="ready", recording=launch.live_recording, script_pid=shim.script_pid)
        _end(run, run.run(), parent)
    return 0


def _end(run: Supervisor, outcome: Outcome, parent: Parent) -> None:
    """Put the recording in its place, remove the run folder and say how it went."""
    folder, launch = run.folder, run.spec
    path = launch.live_recording
    problem = ""
    if outcome.stored and launch.live_recording != launch.recording:
        from fwtop.recorder.delivery import deliver

        path, problem = deliver(Path(launch.live_recording), Path(launch.recording), outcome.plain)
    run.server.close()
    if outcome.stored and not problem:
        folder.remove()
    parent.tell(
        event="finished",
        state=outcome.state,
        exit_status=outcome.exit_status,
        exit_signal=outcome.exit_signal,
        error=outcome.error,
        recording=path,
        stored=outcome.stored,
        problem=problem,
    )


def _start(
    folder: RunFolder, launch: spec.LaunchSpec, stdio: tuple[int, int, int]
) -> tuple[Writer, ShimState, int]:
    recording = writer.create(Path(launch.live_recording), launch.trace_budget_bytes)
    environ = environment.for_script(os.environ, launch, folder)
    process = shim_client.start(folder, environ, stdio)
    for descriptor in set(stdio):
        os.close(descriptor)
    import fwtop.recorder.supervisor  # noqa: F401 - what we need next, while the shim starts

    shim = None
    deadline = time.monotonic() + START_TIMEOUT_S
    while shim is None:
        shim = shim_client.read_state(folder)
        if shim is None and (process.poll() is not None or time.monotonic() > deadline):
            ended = shim_client.read_exit(folder)
            raise StartError(
                (ended and ended.error) or "the shim did not start",
                f"{folder.recorder_log} has the details",
            )
        time.sleep(0.002)
    _write_run(recording, launch, shim)
    return recording, shim, shim.started_monotonic_ns


def _resume(
    folder: RunFolder, launch: spec.LaunchSpec, stdio: tuple[int, int, int]
) -> tuple[Writer, ShimState, int]:
    for descriptor in set(stdio):
        os.close(descriptor)
    shim = shim_client.read_state(folder)
    if shim is None:
        raise StartError("the run never started", f"remove it: fwtop rm {folder.run_id}")
    path = Path(launch.live_recording)
    try:
        recording = writer.reopen(path, launch.trace_budget_bytes)
    except RecordingError:
        if not path.exists():
            raise
        recording = writer.reopen_unstarted(path, launch.trace_budget_bytes)
        _write_run(recording, launch, shim)
    started = recording.query("SELECT started_monotonic_ns FROM run")[0][0]
    return recording, shim, int(started)


def _write_run(recording: Writer, launch: spec.LaunchSpec, shim: ShimState) -> None:
    options = {
        "overhead_ratio": launch.budget_ratio,
        "deep": launch.deep,
        "step_on": launch.step_on,
        "interval_s": launch.interval_s,
        "terminal": launch.terminal,
        "pass_through": launch.pass_through,
        "rows": launch.rows,
        "columns": launch.columns,
        "argv": launch.argv,
    }
    row: tuple[Any, ...] = (
        launch.run_id, json.dumps(launch.command), launch.name, json.dumps(launch.tags),
        launch.cwd, os.uname().nodename, __version__, shim.started_unix_ns,
        shim.started_monotonic_ns, "running", json.dumps(provenance.versions()),
        json.dumps(environment.recorded(os.environ)), json.dumps(options),
    )  # fmt: skip
    if not recording.write_run(row):
        raise StartError(f"the recording cannot be written: {recording.failure}")


def _move_standard_streams(folder: RunFolder, keep: bool) -> tuple[int, int, int]:
    """Our own output goes to recorder.log; returns the descriptors for the shim's 0, 1 and 2."""
    if keep:
        kept = (os.dup(0), os.dup(1), os.dup(2))
    else:
        null = os.open(os.devnull, os.O_RDWR)
        kept = (null, null, null)
    log = os.open(folder.recorder_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(null)
    return kept


def _step_back() -> None:
    """Outlive the terminal, and give way to training where the two want the same core."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)


def _lock(folder: RunFolder) -> IO[bytes]:
    """One recorder a run, for as long as the file is open."""
    lock = (folder.path / "recorder.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StartError(f"run {folder.run_id} has a recorder already") from error
    return lock


def _write_recorder_json(folder: RunFolder, launch: spec.LaunchSpec) -> None:
    body = {
        "pid": os.getpid(),
        "recording": launch.live_recording,
        "run_id": launch.run_id,
        "started_unix_ns": time.time_ns(),
    }
    part = folder.path / "recorder.json.tmp"
    part.write_text(json.dumps(body))
    part.replace(folder.recorder)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a sampler that hangs in a driver's call may not keep us
