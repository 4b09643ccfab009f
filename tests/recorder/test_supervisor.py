"""What a recorder says of its shim: a stand-in for the shim on the other end of the socket."""

from __future__ import annotations

import json
import sqlite3
import threading

import pytest

from fwtop.launch.spec import LaunchSpec
from fwtop.recorder import sampling, writer
from fwtop.recorder.server import Server, bind
from fwtop.recorder.shim_client import ShimState
from fwtop.recorder.supervisor import Supervisor
from fwtop.run_folder import RunFolder

FAILURE = "RuntimeError: broken (read, line 1)"


@pytest.mark.parametrize(("failures", "notices"), [(1, 1), (3, 2), (0, 0)])
def test_failures_of_the_shim_are_notices(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    notices: int,
) -> None:
    """The first at once, so that it is seen while the run goes on; how many there were at the end.

    What the shim sends that is no such line means nothing.
    """
    monkeypatch.setattr(sampling, "SAMPLERS", ())
    path = tmp_path_factory.mktemp("r")
    folder = RunFolder(path)
    spec = LaunchSpec("r", [], [], str(path), str(path / "run.fwtop"), "", terminal=False)
    recorder = writer.create(path / "run.fwtop", 0)
    shim = bind(folder.shim_socket)
    shim.setblocking(True)

    def stand_in() -> None:
        connection, _ = shim.accept()
        connection.sendall(b'[]\n{"failure": 5}\n\xff\n')
        if failures:
            connection.sendall(json.dumps({"failure": FAILURE}).encode() + b"\n")
        end = {"exit_status": 0, "exit_signal": None, "ended_monotonic_ns": 1}
        if failures:
            end |= {"failures": failures, "failure": FAILURE}
        folder.exit.write_text(json.dumps(end))
        connection.close()

    thread = threading.Thread(target=stand_in)
    thread.start()
    run = Supervisor(folder, spec, ShimState(1, 1, 0, 0), recorder, Server(), 0)
    run.listen(bind(folder.probe_socket), bind(folder.control_socket))
    assert run.run().exit_status == 0
    thread.join()
    shim.close()
    recording = sqlite3.connect(path / "run.fwtop")
    said = recording.execute(
        "SELECT severity, text FROM notices WHERE code = 'shim_failed' ORDER BY id"
    ).fetchall()
    recording.close()
    assert len(said) == notices
    assert all(severity == "warning" and FAILURE in text for severity, text in said)
    if failures == 3:
        assert "failed 3 times and went on" in said[1][1]
