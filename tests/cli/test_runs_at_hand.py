"""`ls`, `tag`, `rm` and a bare `attach`, as processes, on recordings and on runs that are alive."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fwtop.cli.diagnostics import Code
from tests.cli.commands import FWTOP, PATIENCE_S, Place, Terminal, wait_until
from tests.recordings import build

pytestmark = pytest.mark.timeout(100)

WAITS = """
import os, time
print("ready", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
"""
DAY_S = 86_400


@pytest.fixture
def kept(place: Place) -> Path:
    """Three recordings; `ls` dates them by when they began, which they all say alike."""
    folder = place.state / "fwtop"
    folder.mkdir(parents=True)
    for number in range(3):
        run_id = f"2026112{number}-101112-abc{number}"
        build(folder / f"{run_id}.fwtop", steps=30 * (number + 1), run_id=run_id)
    return folder


def start(place: Place) -> Any:
    """A run that lives until the file `go` is there."""
    place.script(WAITS)
    process = place.start([*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def end(place: Place, *processes: Any) -> None:
    (place.folder / "go").touch()
    for process in processes:
        process.wait(PATIENCE_S)


def labels(place: Place, run: str) -> tuple[str | None, list[str]]:
    runs = json.loads(place.fwtop("ls", "--json").stdout)
    (one,) = [one for one in runs if one["id"].startswith(run)]
    return one["name"], one["tags"]


def test_labels_given_at_the_start_and_changed_while_it_runs_and_afterwards(place: Place) -> None:
    place.script(WAITS)
    process = place.start(
        [*FWTOP, "record", "-q", "--python", sys.executable, "--name", "first", "--tag", "a",
         "--tag", "b", "script.py"]
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    run = place.run_folder().name
    wait_until(lambda: labels(place, run) == ("first", ["a", "b"]), "its labels")
    done = place.fwtop("tag", run, "c", "--remove", "a", "--name", "second")
    assert (done.status, done.stdout) == (0, b"")
    assert b"name second, tags b, c" in done.stderr
    wait_until(lambda: labels(place, run) == ("second", ["b", "c"]), "the recorder's row")
    end(place, process)
    assert labels(place, run) == ("second", ["b", "c"])
    assert place.fwtop("tag", "second", "d", "--name", "").status == 0
    assert labels(place, run) == (None, ["b", "c", "d"])


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        (["20261120", "a", "--remove", "b", "c"], b"tags a, c"),
        (["--remove", "b", "20261120", "a"], b"tags a"),
        (["20261120", "--remove", "b", "a", "c"], b"tags a, c"),
        (["20261120", "a", "--name", "x", "c", "--remove", "b", "d"], b"name x, tags a, c, d"),
        (["--remove", "b", "20261120", "--", "-odd"], b"tags -odd"),
    ],
)
def test_options_and_tags_in_any_order(
    place: Place, kept: Path, words: list[str], tags: bytes
) -> None:
    assert place.fwtop("tag", "20261120", "b").status == 0
    done = place.fwtop("tag", *words)
    assert done.status == 0, done.stderr
    assert done.stderr.rstrip().endswith(tags)


def test_a_recording_whose_name_looks_like_an_option(place: Place, kept: Path) -> None:
    kept_path = sorted(kept.glob("*.fwtop"))[0]
    (place.folder / "-odd.fwtop").write_bytes(kept_path.read_bytes())
    assert b"steps" in place.fwtop("summary", "--", "-odd.fwtop").stdout


def test_tags_that_cannot_be(place: Place, kept: Path) -> None:
    for words, says in (
        (["20261120", ""], b"a tag needs a letter"),
        (["20261120", "a\nb"], b"control characters"),
        (["20261120", "x" * 200], b"at most 100"),
        (["20261120", "--remove", "absent"], b"has no tag absent"),
    ):
        done = place.fwtop("tag", *words)
        assert done.status == Code.USAGE, done.stderr
        assert says in done.stderr
    (kept / "bad.fwtop").write_bytes(b"SQLite format 3\0 and no more")
    damaged = place.fwtop("tag", str(kept / "bad.fwtop"), "x")
    assert damaged.status == Code.RECORDING
    assert b"bad.fwtop" in damaged.stderr
    assert b"Traceback" not in damaged.stderr


def test_runs_are_chosen_by_age_size_and_tag(place: Place, kept: Path) -> None:
    place.fwtop("tag", "20261120", "keep-not")
    before = sorted(kept.iterdir())
    for words, count in (
        (["--older-than", "100000w"], 0),
        (["--larger-than", "1K"], 3),
        (["--larger-than", "1G"], 0),
        (["--tag", "keep-not"], 1),
        (["--tag", "keep-not", "--larger-than", "1G"], 0),
        (["--keep-size", "0"], 3),
        (["--keep-size", "1G"], 0),
    ):
        done = place.fwtop("rm", *words, "--dry-run")
        assert done.status == 0, done.stderr
        assert done.stdout.decode().count("abc") == count, words
    assert sorted(kept.iterdir()) == before


def test_what_is_not_named_goes_only_with_yes(place: Place, kept: Path) -> None:
    refused = place.fwtop("rm", "--keep-size", "0")
    assert refused.status == Code.TERMINAL
    assert b"-y" in refused.stderr
    assert len(place.recordings) == 3
    (kept / "notes.txt").write_text("mine")
    largest = max(path.stat().st_size for path in place.recordings)
    done = place.fwtop("rm", "--keep-size", str(largest), "-y")
    assert done.status == 0
    assert b"freed" in done.stderr
    assert [path.name[:8] for path in place.recordings] == ["20261122"], "the newest stays"
    assert (kept / "notes.txt").exists()


def test_a_terminal_is_asked(place: Place, kept: Path) -> None:
    for answer, left in ((b"n\n", 3), (b"y\n", 1)):
        terminal = Terminal(place, [*FWTOP, "rm", "20261120", "20261121"])
        terminal.shows(b"[y/N]")
        terminal.type(answer)
        assert terminal.end() == 0
        assert len(place.recordings) == left


def test_live_runs_are_never_removed(place: Place, kept: Path) -> None:
    process = start(place)
    run = place.run_folder().name
    assert place.fwtop("rm", "--keep-size", "0", "-y").status == 0
    assert [path.stem for path in place.recordings] == [run]
    assert place.fwtop("rm", "--stray").status == 0
    assert place.run_folders
    end(place, process)
    assert place.fwtop("rm", run).status == 0


def test_what_a_dead_run_left_is_swept(place: Place, kept: Path) -> None:
    folder = place.temporary / f"fwtop-{os.getuid()}" / "20200101-000000-dead"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "output-000000").write_bytes(b"x" * 3000)
    long_ago = time.time() - DAY_S
    for path in (folder / "output-000000", folder):
        os.utime(path, (long_ago, long_ago))
    listed = place.fwtop("rm", "--stray", "--dry-run")
    assert b"20200101-000000-dead" in listed.stdout
    assert folder.exists()
    assert place.fwtop("rm", "--stray").status == 0
    assert not folder.exists()
    assert len(place.recordings) == 3


def test_rm_without_a_word_says_what_it_takes(place: Place) -> None:
    done = place.fwtop("rm")
    assert done.status == Code.USAGE
    assert b"--older-than" in done.stderr
    done = place.fwtop("rm", "--older-than", "soon")
    assert done.status == Code.USAGE
    assert b"30d" in done.stderr


def test_attach_with_several_runs_and_no_terminal_names_them(place: Place) -> None:
    place.script(WAITS)
    processes = [
        place.start([*FWTOP, "record", "-q", "--python", sys.executable, "script.py"])
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    done = place.fwtop("attach")
    assert done.status == Code.USAGE
    for folder in place.run_folders:
        assert folder.name.encode() in done.stderr
    terminal = Terminal(place, [*FWTOP, "attach"], rows=40, columns=120)
    terminal.shows(b"Which of the runs that are alive?")
    terminal.shows(b"running")
    terminal.type(b"q")
    assert terminal.end() == 0
    end(place, *processes)
