from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fwtop.queries.run import get_run
from fwtop.recording.model import Run
from fwtop.recording.store import open_recording
from fwtop.tui.widgets.header import command_of
from tests import recordings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = recordings.build(tmp_path_factory.mktemp("run") / "run.fwtop", steps=5)
    with open_recording(path) as recording:
        return get_run(recording)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("train.py --lr 3e-4", "train.py --lr 3e-4"),
        ("/long/way/to/train.py --data /data/set.py", "train.py --data /data/set.py"),
        ("/usr/bin/python3 -u src/train.py", "python3 -u train.py"),
        ("torchrun --nproc-per-node 2 /long/train.py /data", "torchrun --nproc-per-node 2 train.py "
         "/data"),
        ("/opt/tools/launch --config /etc/a.yaml", "launch --config /etc/a.yaml"),
        ("python -m package.train /data", "python -m package.train /data"),
        ("/", "/"),
    ],
)  # fmt: skip
def test_the_script_is_told_without_its_folders(run: Run, command: str, shown: str) -> None:
    assert command_of(replace(run, command=tuple(command.split()))) == shown


def test_words_with_blanks_stay_one_word(run: Run, tmp_path: Path) -> None:
    command = (str(tmp_path / "my script.py"), "a b")
    assert command_of(replace(run, command=command)) == "'my script.py' 'a b'"
