"""The viewer on a terminal of its own, with the recorder and the script as real processes."""

from __future__ import annotations

import os
import re
import signal
import termios
from collections.abc import Callable

import pyte
import pyte.modes
import pytest

from fwtop.cli.diagnostics import Code
from fwtop.queries import log
from fwtop.recording.store import open_recording
from tests.processes.live import LiveRun, wait_until


def display(run: LiveRun) -> str:
    """What the terminal shows."""
    screen = pyte.Screen(120, 40)
    screen.set_mode(pyte.modes.LNM)
    # pyte takes the keyboard protocol's sequence for a cursor's.
    pyte.ByteStream(screen).feed(run.screen.partition(b"\x1b[?1049h")[2].replace(b"\x1b[>25u", b""))
    return "\n".join(screen.display)


def press(run: LiveRun, keys: str, shown: str) -> None:
    """Type, and wait until something is shown."""
    os.write(run.master, keys.encode())
    wait_for(run, shown)


def wait_for(run: LiveRun, shown: str) -> None:
    try:
        wait_until(lambda: shown in display(run), repr(shown))
    except AssertionError as error:
        raise AssertionError(f"{error}; the terminal shows\n{display(run)}") from None


def test_a_script_that_asks_is_answered_from_the_log(live: Callable[..., LiveRun]) -> None:
    run = live(script="asks.py").on_terminal()
    wait_for(run, "go on?")
    press(run, "6", "esc back")
    press(run, "i", "to the script")
    press(run, "yes, é", "yes, é")
    press(run, "\r", "the answer was yes, é")
    assert run.result() == {"answer": "yes, é"}
    wait_for(run, "finished, exit 0")
    os.write(run.master, b"q")
    assert run.ended().status == 0


def test_a_run_that_vanished_is_told_as_lost(live: Callable[..., LiveRun]) -> None:
    run = live(script="asks.py").on_terminal()
    wait_for(run, "go on?")
    shim = run.told("shim")
    for pid in (shim["pid"], shim["script_pid"]):
        os.kill(pid, signal.SIGKILL)
    wait_for(run, "its end was not seen")
    os.write(run.master, b"q")
    assert run.ended().status == Code.LOST
    assert "goes on" not in display(run)


def test_a_dumb_terminal_is_recorded_on(live: Callable[..., LiveRun]) -> None:
    run = live(script="asks.py")
    run.term = "dumb"
    run.on_terminal()
    wait_until(lambda: b"go on?" in run.screen, "the question, passed through")
    os.write(run.master, b"yes\r")
    assert run.ended().status == 0
    assert b"TERM=dumb: no viewer can be drawn here" in run.screen
    assert b"the answer was yes" in run.screen
    assert b"\x1b[?1049h" not in run.screen


def test_the_scripts_terminal_follows_the_size_of_the_viewers(live: Callable[..., LiveRun]) -> None:
    run = live(script="tells_its_size.py").on_terminal()
    wait_for(run, "120 columns, 40 rows")
    termios.tcsetwinsize(run.master, (38, 110))
    wait_for(run, "110 columns, 38 rows")
    run.stop()
    wait_for(run, "finished, exit 0")
    os.write(run.master, b"q")
    assert run.ended().status == 0
    with open_recording(run.path) as recording:
        sizes = [log.parse_size(one.data) for one in log.chunks(recording) if one.stream == 3]
    assert sizes == [(110, 38)], "the size that it had from the start is not told again"


@pytest.mark.tensorflow
def test_tensorflows_log_is_told_from_the_scripts_output(live: Callable[..., LiveRun]) -> None:
    """One terminal takes both; a bar that overwrites itself comes out right, and so does `l`."""
    run = live(script="tensorflow_logs.py").on_terminal()
    wait_for(run, "finished, exit 0")
    press(run, "6", "esc back")
    wait_for(run, " 3/3 [###]")
    rows = [row[2:-2].rstrip() for row in display(run).splitlines()]
    info = next(row for row in rows if "port.cc" in row)
    assert re.match(r" 0:00:\d\d I I0000 00:00:\d+\.\d+ +\d+ port\.cc:\d+\] oneDNN", info)
    (warned,) = [row for row in rows if "local_rendezvous.cc" in row]
    assert re.match(r" 0:00:\d\d W  2/3 \[## \]W0000 00:00:", warned)
    press(run, "l", "no library info,")
    assert "port.cc" not in display(run)
    assert "local_rendezvous.cc" in display(run)
    press(run, "ll", "only the script's own,")
    left = [row[9:] for row in (one[2:-2].rstrip() for one in display(run).splitlines()[3:38])]
    assert [row for row in left if row] == [" 2/3 [## ]", " 3/3 [###]", "{}"]
    os.write(run.master, b"q")
    assert run.ended().status == 0
