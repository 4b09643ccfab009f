"""Whatever dies, training goes on to the same losses; what was recorded stays readable."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fwtop.queries import log, steps
from fwtop.queries import run as runs
from fwtop.recording.store import open_recording
from tests.processes.both_ways import FWTOP, SCRIPTS, environment, finish, start, summarize
from tests.processes.live import LiveRun, wait_until

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def plain_losses(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The script's losses under plain Python."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "stop").touch()
    script = str(SCRIPTS / "trains_until_told.py")
    ended = finish(
        start(
            [sys.executable, script, str(folder / "stop"), str(folder / "progress")],
            env=environment(folder),
        )
    )
    assert ended.status == 0, ended.stderr.decode()
    losses: list[float] = ended.said["losses"]
    return losses


def notices(path: Path) -> dict[str, str]:
    with open_recording(path) as recording:
        return {notice.code: notice.text for notice in runs.notices(recording)}


def recorded_indices(path: Path) -> list[int]:
    with open_recording(path) as recording:
        return [step.index for step in steps.latest_steps(recording, 1_000_000)]


def test_recorder_killed(
    live: Callable[..., LiveRun], plain_losses: list[float], tmp_path: Path
) -> None:
    run = live().record()
    wait_until(lambda: run.steps() > 50, "the first steps")
    first = run.kill_recorder()
    run.goes_on(100)
    wait_until(lambda: run.told("recorder")["pid"] != first, "another recorder")
    run.goes_on(200)
    run.stop()
    ended = run.ended()
    assert ended.status == 0, ended.stderr.decode()
    assert ended.said["losses"] == plain_losses
    result = run.result()
    indices = recorded_indices(run.path)
    assert indices[-1] == result["steps"] - 1, "the probe has not reconnected"
    assert len(indices) >= 250
    assert "recorder_restarted" in notices(run.path)
    assert summarize(run.path, tmp_path)["run"]["exit_status"] == 0


def test_recorder_and_command_killed(
    live: Callable[..., LiveRun], plain_losses: list[float], tmp_path: Path
) -> None:
    """Nobody is left but the shim and the script; `fwtop attach` brings a recorder back."""
    run = live().record()
    wait_until(lambda: run.steps() > 50, "the first steps")
    assert run.process is not None
    run.process.kill()
    first = run.kill_recorder()
    run.goes_on(300)
    attached = start([FWTOP, "attach"], env=run.environ)
    wait_until(lambda: run.told("recorder")["pid"] != first, "another recorder")
    run.goes_on(100)
    run.stop()
    result = run.result()
    assert result["losses"] == plain_losses
    ended = finish(attached)
    assert ended.status == 0, ended.stderr.decode()
    run.recorded()
    assert recorded_indices(run.path)[-1] == result["steps"] - 1
    assert summarize(run.path, tmp_path)["run"]["exit_status"] == 0


def test_script_killed(live: Callable[..., LiveRun], tmp_path: Path) -> None:
    run = live().record()
    wait_until(lambda: run.steps() > 1_000, "the first seconds")
    os.kill(run.told("shim")["script_pid"], signal.SIGKILL)
    ended = run.ended()
    assert ended.status == -signal.SIGKILL
    with open_recording(run.path) as recording:
        row = runs.get_run(recording)
        assert (row.state, row.exit_status, row.exit_signal) == ("finished", None, signal.SIGKILL)
        assert row.duration_ns is not None
    assert summarize(run.path, tmp_path)["run"]["exit_status"] is None
    # What the probe had not sent yet is lost, and that is a fraction of a second.
    assert len(recorded_indices(run.path)) > 200


def test_terminal_hangs_up(live: Callable[..., LiveRun], plain_losses: list[float]) -> None:
    run = live().on_terminal("record")
    wait_until(lambda: run.steps() > 50, "the first steps")
    run.hang_up()
    run.goes_on(300)
    assert run.process is not None
    run.process.wait(30)
    run.stop()
    result = run.result()
    assert result["losses"] == plain_losses
    run.recorded()
    assert recorded_indices(run.path) == list(range(result["steps"]))


@pytest.mark.parametrize("how", ["killed", "hung up"])
def test_viewer_is_lost(live: Callable[..., LiveRun], plain_losses: list[float], how: str) -> None:
    run = live().on_terminal()
    wait_until(lambda: run.steps() > 50, "the first steps")
    wait_until(lambda: b"\x1b[?1049h" in run.screen, "the viewer's first paint")
    assert run.process is not None
    if how == "killed":
        run.process.kill()
    else:
        run.hang_up()
    run.process.wait(30)
    run.goes_on(300)
    run.stop()
    result = run.result()
    assert result["losses"] == plain_losses
    run.recorded()
    assert recorded_indices(run.path) == list(range(result["steps"]))


BREAKS = {
    "windows": """
import os, shutil
import torch
shutil.rmtree(os.environ.get("FWTOP_WINDOWS", "/nowhere"), ignore_errors=True)
""",
    "compile events": """
import logging
import torch
class Hostile:
    def __str__(self):
        raise RuntimeError("broken on purpose")
    __repr__ = __str__
    def __getattr__(self, name):
        raise RuntimeError("broken on purpose")
for metadata in (Hostile(), 5, None, {"dynamo_start": Hostile()}, {"chromium_event": {}}):
    for payload in (Hostile(), None, 7, "{", "[[[[", '{"ph": []}'):
        logging.getLogger("torch.__trace").debug(
            "x", extra={"metadata": metadata, "payload": payload}
        )
""",
    "the optimizer": """
import torch
class Hostile(torch.optim.SGD):
    def __hash__(self):
        raise RuntimeError("broken on purpose")
    def __eq__(self, other):
        raise RuntimeError("broken on purpose")
    def __repr__(self):
        raise RuntimeError("broken on purpose")
""",
    "batches": """
import torch
class HostileBatch(list):
    def __len__(self):
        raise RuntimeError("broken on purpose")
    def __getattr__(self, name):
        raise RuntimeError("broken on purpose")
def hostile(samples):
    return HostileBatch(torch.utils.data.default_collate(samples))
""",
}


@pytest.mark.parametrize("what", sorted(BREAKS))
def test_hook_breaks(what: str, tmp_path: Path) -> None:
    """What the hooks meet is hostile: the script has the same losses, and the steps are seen."""
    script = tmp_path / "train.py"
    body = (SCRIPTS / "plain_loop.py").read_text()
    if what == "the optimizer":
        body = body.replace("torch.optim.SGD(", "Hostile(")
    if what == "batches":
        body = body.replace("shuffle=True", "shuffle=True, collate_fn=hostile")
    script.write_text(BREAKS[what] + body)
    path = tmp_path / "run.fwtop"
    environ = environment(tmp_path)
    plain = finish(start([sys.executable, str(script)], env=environ))
    assert plain.status == 0, plain.stderr.decode()
    record = [FWTOP, "record", "--overhead", "100%", "-o", str(path), "--python", sys.executable]
    recorded = finish(start([*record, str(script)], env=environ))
    assert (recorded.status, recorded.stdout) == (0, plain.stdout), recorded.stderr.decode()
    summary = summarize(path, tmp_path)
    assert summary["steps"]["count"] == 40
    assert summary["losses"]["messages_dropped"] == 0
    if what == "windows":
        assert summary["operators"]["windows"] == 0
        with open_recording(path) as recording:
            (governor,) = runs.governors(recording)
        assert "windows folder" in governor.waiting_for
    else:
        assert summary["operators"]["windows"] > 0


def test_own_sitecustomize_raises(tmp_path: Path) -> None:
    """The user's own sitecustomize runs after ours, and what it does wrong is reported as ever."""
    own = "import sys\nprint('own', sys.argv, file=sys.stderr)\nraise RuntimeError('broken')\n"
    (tmp_path / "sitecustomize.py").write_text(own)
    path = tmp_path / "run.fwtop"
    script = str(SCRIPTS / "exits_with_3.py")
    environ = environment(tmp_path, PYTHONPATH=str(tmp_path))
    plain = finish(start([sys.executable, script], env=environ))
    record = [FWTOP, "record", "-o", str(path), "--python", sys.executable, script]
    ended = finish(start(record, env=environ))
    assert (ended.status, ended.stdout) == (3, plain.stdout), ended.stderr.decode()
    with open_recording(path) as recording:
        said = b"".join(chunk.data for chunk in log.chunks(recording) if chunk.stream == 2)
    assert said == plain.stderr
    assert b"Error in sitecustomize" in said
    assert len(recorded_indices(path)) == 4
