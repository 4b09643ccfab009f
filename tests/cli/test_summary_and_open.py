"""`fwtop summary` and `fwtop open` as commands: streams, exit statuses, what they refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recordings import build


def fwtop(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fwtop.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_words_on_stdout_and_nothing_on_stderr(tmp_path: Path) -> None:
    done = fwtop("summary", build(tmp_path / "run.fwtop", steps=60))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("run ")
    assert done.stdout.rstrip().endswith("run.fwtop")


def test_json_is_one_document(tmp_path: Path) -> None:
    done = fwtop("summary", build(tmp_path / "run.fwtop", steps=60), "--json")
    assert json.loads(done.stdout)["steps"]["count"] == 60
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("command", ["summary", "open"])
def test_a_file_that_is_no_recording_is_an_error_with_a_remedy(
    tmp_path: Path, command: str
) -> None:
    (tmp_path / "x.fwtop").write_text("hello")
    for name, what in (("x.fwtop", "not a recording"), ("absent.fwtop", "no such file")):
        done = fwtop(command, tmp_path / name)
        assert done.returncode == 104
        assert what in done.stderr
        assert len(done.stderr.splitlines()) == 2
        assert done.stdout == ""


def test_without_a_terminal_there_is_no_viewer(tmp_path: Path) -> None:
    done = fwtop("open", build(tmp_path / "run.fwtop", steps=60))
    assert done.returncode == 110
    assert "fwtop summary" in done.stderr


def test_importing_the_commands_is_cheap() -> None:
    """Neither Textual nor NumPy before they are needed."""
    code = (
        "import sys, fwtop.cli.main, fwtop.cli.summary, fwtop.cli.ls, fwtop.cli.open;"
        "print([m for m in ('textual', 'rich', 'numpy', 'torch', 'pyte') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
