"""Commands on traces that are ended by a signal, in real processes: nothing of them stays."""

from __future__ import annotations

import gzip
import json
import os
import signal
import tempfile
from pathlib import Path

import pytest

from fwtop.cli.endings import Ended, ended_by_signals, held_back
from tests.cli.commands import FWTOP, Place, Terminal, wait_until
from tests.traces.trace_files import document, row

COMMANDS = {
    "open": ["open", "{}"],
    "compare": ["compare", "{}", "{}"],
    "summary": ["summary", "{}"],
    "import": ["import", "{}", "-o", "run.fwtop"],
}


@pytest.fixture(scope="module")
def long_trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read long enough that a progress is shown, and a signal comes while it is read."""
    path = tmp_path_factory.mktemp("long") / "large.json.gz"
    one = json.dumps(row("aten::mm", 1, 1)).encode()
    many = gzip.compress((one + b",\n") * 100_000)
    path.write_bytes(gzip.compress(b'{"traceEvents": [') + many * 100 + gzip.compress(one + b"]}"))
    return path


@pytest.fixture
def short_trace(tmp_path: Path) -> Path:
    path = tmp_path / "short.json"
    rows = [row("ProfilerStep#3", 0, 1_000, cat="user_annotation"), row("aten::mm", 100, 300)]
    path.write_text(json.dumps(document(rows)))
    return path


def argv(command: str, trace: Path) -> list[str]:
    return [*FWTOP, *(str(trace) if word == "{}" else word for word in COMMANDS[command])]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", COMMANDS)
def test_while_a_trace_is_read(
    place: Place, long_trace: Path, command: str, number: signal.Signals
) -> None:
    terminal = Terminal(place, argv(command, long_trace))
    terminal.shows(b"reading large.json")
    if command != "import":
        assert list(place.temporary.iterdir()) != []
    terminal.process.send_signal(number)
    assert terminal.end() == 128 + number
    assert list(place.temporary.iterdir()) == []
    assert list(place.folder.glob("*run.fwtop*")) == []
    assert b"Traceback" not in terminal.screen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["open", "compare"])
def test_while_it_is_shown(
    place: Place, short_trace: Path, command: str, number: signal.Signals
) -> None:
    terminal = Terminal(place, argv(command, short_trace))
    terminal.shows(b"Step")
    terminal.process.send_signal(number)
    assert terminal.end() == 0
    assert list(place.temporary.iterdir()) == []
    assert b"\x1b[?1049l" in terminal.screen


@pytest.mark.parametrize("command", ["open", "compare"])
def test_whose_terminal_is_closed(place: Place, short_trace: Path, command: str) -> None:
    terminal = Terminal(place, argv(command, short_trace))
    terminal.shows(b"Step")
    os.close(terminal.master)
    wait_until(lambda: terminal.process.poll() is not None, "the command's end")
    assert list(place.temporary.iterdir()) == []


def test_signals_wait_where_they_are_held_back() -> None:
    reached = []

    def end_while_it_works() -> None:
        with ended_by_signals():
            with held_back():
                os.kill(os.getpid(), signal.SIGTERM)
                reached.append("the end of what must be whole")
            reached.append("more")

    with pytest.raises(Ended) as ended:
        end_while_it_works()
    assert reached == ["the end of what must be whole"]
    assert ended.value.code == 128 + signal.SIGTERM


def test_what_is_ignored_stays_so() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals(), held_back():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_place_that_takes_no_folder_is_told(place: Place, short_trace: Path) -> None:
    with tempfile.TemporaryDirectory() as gone:
        missing = str(Path(gone) / "absent")
        code = (
            "import sys, tempfile; tempfile.tempdir = sys.argv.pop(1);"
            "from fwtop.cli.main import run; sys.exit(run())"
        )
        done = place.run([FWTOP[0], "-c", code, missing, "summary", str(short_trace)])
    assert done.status != 0
    assert missing.encode() in done.stderr
    assert b"Traceback" not in done.stderr
