"""`fwtop summary`, `open` and `import` on traces of other tools, as commands."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fwtop.cli.import_progress import SAY_S, SILENT_S, ImportProgress
from tests.cli.commands import Place
from tests.recordings import build
from tests.traces.torch_logs import compiled, log
from tests.traces.trace_files import document, row

ARGV = [sys.executable, "-m", "fwtop.cli.main"]


def _environ(folder: Path) -> dict[str, str]:
    """Where temporary folders and recordings go, so that a test sees what is left."""
    for name in ("tmp", "state"):
        (folder / name).mkdir(exist_ok=True)
    state, temporary = str(folder / "state"), str(folder / "tmp")
    return {**os.environ, "TMPDIR": temporary, "XDG_STATE_HOME": state, "TERM": "xterm"}


def _fwtop(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*ARGV, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=_environ(folder),
    )
    assert list((folder / "tmp").iterdir()) == []
    assert "Traceback" not in done.stderr
    return done


def _trace(path: Path, rank: int = 0) -> Path:
    rows = [
        row("ProfilerStep#3", 0, 1_000, cat="user_annotation"),
        row("aten::mm", 100, 300),
        row("Optimizer.step#SGD.step", 700, 200, cat="user_annotation"),
    ]
    text = json.dumps(document(rows, distributedInfo={"rank": rank, "world_size": 2})).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_a_summary_of_a_trace(tmp_path: Path) -> None:
    trace = _trace(tmp_path / "t.json.gz")
    done = _fwtop(tmp_path, "summary", trace)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("run        –\n")
    assert "aten::mm" in done.stdout
    assert done.stdout.rstrip().endswith(trace.name)


def test_ranks_and_logs_are_one_run_in_json(tmp_path: Path) -> None:
    folder = tmp_path / "ranks"
    folder.mkdir()
    _trace(folder / "a.json", 0)
    _trace(folder / "b.json.gz", 1)
    (folder / "trace_rank_1.log").write_bytes(log(compiled()))
    for words in ([folder], sorted(folder.iterdir())):
        summary = json.loads(_fwtop(tmp_path, "summary", *words, "--json").stdout)
        assert [process["rank"] for process in summary["processes"]] == [0, 1]
        assert summary["run"]["world_size"] == 2
        assert summary["operators"]["windows"] == 2


def test_open_without_a_terminal_says_what_to_do_and_leaves_nothing(tmp_path: Path) -> None:
    trace = _trace(tmp_path / "t.json")
    done = _fwtop(tmp_path, "open", trace)
    assert done.returncode == 110
    assert f"fwtop summary {trace}" in done.stderr


@pytest.mark.parametrize("command", ["summary", "open"])
def test_what_is_no_trace_is_an_error_with_a_remedy(tmp_path: Path, command: str) -> None:
    files = {
        "empty.json": (b"", "is empty"),
        "cut.json": (b'{"traceEvents": [', "no operator and no kernel"),
        "other.json": (b'{"a": 1}', 'no "traceEvents" array'),
        "program": (b"\x7fELF", "the format is unknown"),
        "broken.json.gz": (b"\x1f\x8b\x08\x00broken", "gzip"),
        "broken.xplane.pb": (b"\x0a\xff\xff\xff\xff\x0f", ""),
    }
    for name, (data, words) in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        done = _fwtop(tmp_path, command, path)
        assert (done.returncode, done.stdout) == (104, ""), name
        assert words in done.stderr
        assert str(path) in done.stderr.splitlines()[0]
        assert len(done.stderr.splitlines()) == 2


def test_a_recording_beside_others_is_refused(tmp_path: Path) -> None:
    recording, trace = build(tmp_path / "run.fwtop", steps=5), _trace(tmp_path / "t.json")
    for words in ([recording, trace], [trace, recording], [recording, recording]):
        done = _fwtop(tmp_path, "summary", *words)
        assert done.returncode == 101
        assert "fwtop compare" in done.stderr


def test_import_keeps_it(tmp_path: Path) -> None:
    trace, target = _trace(tmp_path / "t.json.gz"), tmp_path / "run.fwtop"
    done = _fwtop(tmp_path, "import", trace, "-o", target, "--name", "mine", "--tag", "a")
    assert (done.returncode, done.stdout) == (0, f"{target}\n")
    assert f"fwtop open {target}" in done.stderr
    trace.unlink()
    summary = json.loads(_fwtop(tmp_path, "summary", target, "--json").stdout)
    assert summary["steps"]["count"] == 1
    again = _fwtop(tmp_path, "import", target, "-o", tmp_path / "other.fwtop")
    assert again.returncode == 101


def test_import_without_a_name_goes_where_ls_looks(place: Place) -> None:
    trace = _trace(place.folder / "t.json")
    first, second = (place.fwtop("import", "-q", str(trace)) for _ in range(2))
    folder = place.state / "fwtop"
    assert [first.stdout.decode(), second.stdout.decode()] == [
        f"{folder}/t.fwtop\n",
        f"{folder}/t-2.fwtop\n",
    ]
    assert first.stderr == b""
    assert len(json.loads(place.fwtop("ls", "--json").stdout)) == 2


def test_import_writes_over_nothing(tmp_path: Path) -> None:
    trace, target = _trace(tmp_path / "t.json"), tmp_path / "run.fwtop"
    target.write_text("mine")
    done = _fwtop(tmp_path, "import", trace, "-o", target)
    assert done.returncode == 104
    assert "exists already" in done.stderr
    assert target.read_text() == "mine"
    done = _fwtop(tmp_path, "import", trace, "-o", tmp_path / "absent" / "run.fwtop")
    assert done.returncode == 113


@pytest.mark.parametrize("command", ["import", "summary"])
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, command: str) -> None:
    """The progress on a terminal tells that it is at work; then it is interrupted."""
    one = json.dumps(row("aten::mm", 1, 1)).encode() + b",\n"
    trace = tmp_path / "large.json"
    trace.write_bytes(b'{"traceEvents": [' + one * 900_000 + one.rstrip(b",\n") + b"]}")
    target = tmp_path / "run.fwtop"
    words = ["import", trace, "-o", target] if command == "import" else ["summary", trace]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*ARGV, *map(str, words)], stdout=subprocess.PIPE, stderr=theirs, env=_environ(tmp_path)
    )
    os.close(theirs)
    shown = b""
    while b"large.json" not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate()
    os.close(ours)
    assert (process.returncode, stdout) == (130, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.json", "state", "tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stderr_of_progress(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[str]]:
    """What a progress writes, on a terminal or not."""

    def install(terminal: bool) -> list[str]:
        said: list[str] = []
        monkeypatch.setattr("fwtop.cli.import_progress.say", said.append)
        monkeypatch.setattr("fwtop.cli.import_progress._write", said.append)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
        return said

    return install


def test_progress_on_a_terminal(stderr_of_progress: Callable[[bool], list[str]]) -> None:
    said, clock = stderr_of_progress(True), _Clock()
    with ImportProgress([Path("folder/t.json")], quiet=False, clock=clock) as progress:
        progress(1 << 20, 8 << 20)
        assert said == []  # what is read soon needs none
        clock.now += SILENT_S
        progress(4 << 20, 8 << 20)
        assert said[-1].endswith("fwtop: reading t.json: 50% of 8.00 MiB, 8.00 MiB/s")
        progress(5 << 20, 8 << 20)
        assert len(said) == 1  # not so often
        progress(8 << 20, 8 << 20)
        assert said[-1].endswith("analysing t.json")
    assert said[-1] == "\r\x1b[K"


def test_progress_in_a_log(stderr_of_progress: Callable[[bool], list[str]]) -> None:
    said, clock = stderr_of_progress(False), _Clock()
    with ImportProgress([Path("a"), Path("b")], quiet=False, clock=clock) as progress:
        clock.now += SILENT_S
        progress(1 << 20, 8 << 20)
        assert said == []
        clock.now += SAY_S
        progress(2 << 20, 8 << 20)
        progress(8 << 20, 8 << 20)
    assert len(said) == 2
    assert said[0].startswith("reading 2 traces: 25% of 8.00 MiB, ")
    assert said[1] == "analysing 2 traces"


def test_quiet_progress(stderr_of_progress: Callable[[bool], list[str]]) -> None:
    said, clock = stderr_of_progress(True), _Clock()
    with ImportProgress([Path("a")], quiet=True, clock=clock) as progress:
        clock.now += 60
        progress(1, 2)
    assert said == []
