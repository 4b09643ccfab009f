"""What goes wrong in and around a Keras fit: it ends as it would without fwtop, to the same losses.

The counterpart of `test_faults` and of the endings in `test_torch_cases`. A TensorFlow takes
seconds to import, so that one run meets several faults, one after the other.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fwtop.queries import operators, steps
from fwtop.queries import run as runs
from fwtop.recording.store import open_recording
from fwtop.run_folder import RunFolder
from tests.processes.both_ways import (
    SCRIPTS,
    both_ways,
    environment,
    finish,
    start,
    summarize,
)
from tests.processes.live import LiveRun, alive, wait_until

pytestmark = pytest.mark.tensorflow
FITS = "fits_until_told.py"


def indices(path: Path) -> list[int]:
    with open_recording(path) as recording:
        return [step.index for step in steps.latest_steps(recording, 1_000_000)]


def decoded_windows(path: Path) -> int:
    with open_recording(path) as recording:
        return sum(window.state == "decoded" for window in operators.windows(recording))


def own_lines(stderr: bytes) -> list[str]:
    """What is not TensorFlow's log, which holds times."""
    return [
        line
        for line in stderr.decode().splitlines()
        if not re.match(r"[IWEF]\d{4} |\d{4}-\d\d-\d\d ", line)
    ]


def steps_of_processes(path: Path) -> list[list[int]]:
    """Each process's step indices, in the order of the processes' first messages."""
    with open_recording(path) as recording:
        return [
            [row.index for row in steps.latest_steps(recording, 10_000, process_id=process.id)]
            for process in runs.processes(recording)
        ]


def waiting_for(path: Path) -> str:
    """What the next window waits for, by the recording."""
    with open_recording(path) as recording:
        return " ".join(governor.waiting_for for governor in runs.governors(recording))


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
    wait_until(lambda: "windows folder" in waiting_for(recording_now), "a word on the folder")
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
    assert summarize(run.path, tmp_path)["run"]["exit_status"] == 0


def test_viewer_killed_and_then_the_shim(live: Callable[..., LiveRun]) -> None:
    """Without a viewer all goes on; without the shim nobody holds the script's terminal."""
    run = live(script=FITS).on_terminal()
    wait_until(lambda: run.steps() > 50, "the first steps")
    wait_until(lambda: b"\x1b[?1049h" in run.screen, "the viewer's first paint")
    assert run.process is not None
    run.process.kill()
    run.process.wait(30)
    run.goes_on(1500)  # seconds: the last half second of them ends with the script
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


def test_fits_that_end_in_every_way(tmp_path: Path) -> None:
    """Statuses, output, losses and tracebacks are those without fwtop; the steps are exact where
    the process could still tell them."""
    script = str(SCRIPTS / "fits_end.py")
    plain, recorded = both_ways(tmp_path, [script], options=["-q", "--overhead", "100%"])
    assert plain.status == recorded.status == 1, recorded.stderr.decode()
    assert recorded.stdout == plain.stdout
    assert recorded.stdout.count(b"[") == 7
    assert own_lines(recorded.stderr) == own_lines(plain.stderr)
    assert b"the data of batch 13 is broken" in recorded.stderr
    main, *children = steps_of_processes(recorded.path)
    assert main == list(range(54))
    assert all(told == list(range(len(told))) for told in children)
    returned, *ended = sorted((len(told) for told in children), reverse=True)
    assert returned == 80
    assert ended[:3] == [54] * 3  # by sys.exit, an interrupt, an error; the others told what fitted
    assert len(ended) <= 5
    with open_recording(recorded.path) as recording:
        windows = operators.windows(recording)
    assert any(window.state == "decoded" for window in windows)
    assert recorded.summary["losses"]["windows_failed"] > 0
    assert recorded.summary["losses"]["probe_failures"] == []
    assert recorded.leftovers == []


def test_forked_workers_feed_a_hostile_module(tmp_path: Path) -> None:
    """Keras forks its workers amidst open windows; they stay silent, and so do our hooks."""
    plain, recorded = both_ways(
        tmp_path,
        ["-m", "fits_from_workers"],
        options=["-q", "--overhead", "100%"],
        variables={"PYTHONPATH": str(SCRIPTS)},
    )
    assert (plain.status, recorded.status) == (0, 0), recorded.stderr.decode()
    assert recorded.stdout == plain.stdout
    assert own_lines(recorded.stderr) == own_lines(plain.stderr)
    assert len(recorded.said["losses"]) == 120
    assert recorded.said["path"] == "/nowhere\n"
    assert steps_of_processes(recorded.path) == [list(range(120))]
    assert decoded_windows(recorded.path)
    assert recorded.summary["losses"] == {
        "messages_dropped": 0, "windows_failed": 0, "probe_failures": [],
    }  # fmt: skip
    assert recorded.leftovers == []


def test_a_spawned_child_no_descriptors_and_no_stdout(tmp_path: Path) -> None:
    script = str(SCRIPTS / "trains_with_little.py")
    plain, recorded = both_ways(tmp_path, [script], options=["-q", "--overhead", "100%"])
    assert (plain.status, recorded.status) == (0, 0), recorded.stderr.decode()
    assert recorded.stdout == plain.stdout
    assert recorded.stdout.count(b"[") == 3
    assert own_lines(recorded.stderr) == own_lines(plain.stderr)
    told = sorted(steps_of_processes(recorded.path), key=len)
    assert told == [list(range(150)), list(range(600))]
    with open_recording(recorded.path) as recording:
        windows = operators.windows(recording)
    assert {window.process_id for window in windows if window.state == "decoded"} == {1, 2}
    assert recorded.summary["losses"]["probe_failures"] == []
    assert recorded.leftovers == []
