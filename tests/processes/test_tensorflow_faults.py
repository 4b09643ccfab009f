"""What goes wrong in and around a Keras fit: it ends as it would without fwtop, to the same losses.

The counterpart of `test_faults` and of the endings in `test_torch_cases`. A TensorFlow takes
seconds to import, so that one run meets several faults, one after the other.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fwtop.queries import operators, steps
from fwtop.queries import run as runs
from fwtop.recording.store import open_recording
from fwtop.run_folder import RunFolder
from tests.processes.both_ways import SCRIPTS, environment, finish, start, summarize
from tests.processes.live import LiveRun, alive, wait_until

pytestmark = pytest.mark.tensorflow
FITS = "fits_until_told.py"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., LiveRun]]:
    """Makes live runs that end with the test."""
    made: list[LiveRun] = []

    def make(*options: str, **named: Any) -> LiveRun:
        made.append(LiveRun(tmp_path, *options, **named))
        return made[-1]

    yield make
    for run in made:
        run.clean()


def indices(path: Path) -> list[int]:
    with open_recording(path) as recording:
        return [step.index for step in steps.latest_steps(recording, 1_000_000)]


def decoded_windows(path: Path) -> int:
    with open_recording(path) as recording:
        return sum(window.state == "decoded" for window in operators.windows(recording))


def losses_without_fwtop(folder: Path) -> list[float]:
    folder.mkdir()
    (folder / "stop").touch()
    argv = [sys.executable, str(SCRIPTS / FITS), str(folder / "stop"), str(folder / "progress")]
    ended = finish(start(argv, env=environment(folder)))
    assert ended.status == 0, ended.stderr.decode()
    losses: list[float] = ended.said["losses"]
    assert len(losses) == 50
    return losses


def test_recorder_killed_and_windows_folder_removed(
    live: Callable[..., LiveRun], tmp_path: Path
) -> None:
    run = live("--overhead", "100%", script=FITS).record()
    wait_until(lambda: run.steps() > 100, "the first steps")
    first = run.kill_recorder()
    run.goes_on(100)
    wait_until(lambda: run.told("recorder")["pid"] != first, "another recorder")
    recording_now = Path(run.told("launch")["live_recording"])
    wait_until(lambda: decoded_windows(recording_now), "a window that the new recorder has read")
    windows = RunFolder(run.run_folder).windows
    gone = windows.rename(windows.with_suffix(".gone"))  # at once, whatever is being written there
    run.goes_on(200)
    shutil.rmtree(gone)
    run.stop()
    ended = run.ended()
    assert ended.status == 0, ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
    assert ended.said["losses"] == losses_without_fwtop(tmp_path / "plain")
    seen = indices(run.path)
    assert seen[-1] == run.result()["steps"] - 1, "the probe has not reconnected"
    assert len(seen) >= 400
    with open_recording(run.path) as recording:
        assert "recorder_restarted" in {notice.code for notice in runs.notices(recording)}
        (governor,) = runs.governors(recording)
    assert "windows folder" in governor.waiting_for
    assert summarize(run.path, tmp_path)["run"]["exit_status"] == 0


def test_viewer_killed_and_then_the_shim(live: Callable[..., LiveRun]) -> None:
    """Without a viewer all goes on; without the shim nobody holds the script's terminal."""
    run = live(script=FITS).on_terminal()
    wait_until(lambda: run.steps() > 50, "the first steps")
    wait_until(lambda: b"\x1b[?1049h" in run.screen, "the viewer's first paint")
    assert run.process is not None
    run.process.kill()
    run.process.wait(30)
    run.goes_on(300)
    shim = run.told("shim")
    before = run.steps()
    os.kill(shim["pid"], signal.SIGKILL)
    wait_until(lambda: not alive(shim["script_pid"]), "the script's end without a terminal")
    run.recorded()
    seen = indices(run.path)
    assert seen == list(range(len(seen)))
    assert len(seen) > before / 2
    with open_recording(run.path) as recording:
        assert runs.get_run(recording).state == "lost"
