from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fwtop import run_folder
from fwtop.cli import listing, ls
from fwtop.cli.diagnostics import Code, Failure
from fwtop.formatting import cell_width
from fwtop.launch import spec as launch_spec
from fwtop.launch.spec import LaunchSpec
from fwtop.recording.labels import write_labels
from tests.recordings import build


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder and a temporary folder of this test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    short = tempfile.mkdtemp(prefix="ls")  # a socket's path must stay short
    monkeypatch.setattr(tempfile, "tempdir", short)
    folder = tmp_path / "state" / "fwtop"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(short)


def ended_pid() -> int:
    """The pid of a process that was, and is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def live(recording: Path, run_id: str, recorder: int, script: int) -> None:
    """A run folder as the recorder and the shim leave it."""
    folder = run_folder.of(run_id)
    folder.create()
    spec = LaunchSpec(run_id, ["python"], ["train.py"], "/", str(recording), str(recording), False)
    launch_spec.write(spec, folder.launch)
    folder.recorder.write_bytes(msgspec.json.encode({"pid": recorder, "run_id": run_id}))
    folder.shim.write_bytes(msgspec.json.encode({"pid": 1, "script_pid": script}))


def test_finished_recordings_newest_first(state: Path) -> None:
    build(state / "one.fwtop", steps=30, run_id="20261123-000000-aaaa")
    build(state / "two.fwtop", steps=40, run_id="20261124-000000-bbbb", exit_status=3)
    found = listing.at_hand()
    assert [one.id for one in found] == ["20261124-000000-bbbb", "20261123-000000-aaaa"]
    assert (found[0].steps, found[0].state, found[0].exit_status) == (40, "finished", 3)
    assert found[0].size_bytes == (state / "two.fwtop").stat().st_size
    assert not found[0].live


@pytest.mark.parametrize(
    ("recorder_lives", "script_lives", "state_name"),
    [(True, True, "running"), (False, True, "unwatched"), (False, False, "lost")],
)
def test_the_state_of_a_live_run_is_worked_out_from_who_is_alive(
    state: Path, recorder_lives: bool, script_lives: bool, state_name: str
) -> None:
    path = build(state / "run.fwtop", steps=30, state="running")
    gone = ended_pid()
    live(
        path,
        "20261123-101112-abcd",
        os.getpid() if recorder_lives else gone,
        os.getpid() if script_lives else gone,
    )
    (found,) = listing.at_hand()
    assert found.state == state_name
    assert found.steps == 30
    run_folder.of("20261123-101112-abcd").remove()


def test_an_unfinished_recording_without_a_run_folder_is_lost(state: Path) -> None:
    build(state / "run.fwtop", steps=30, state="running")
    assert listing.at_hand()[0].state == "lost"


def test_a_damaged_recording_is_listed_with_its_problem(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "bad.fwtop").write_bytes(b"not a recording at all")
    build(state / "good.fwtop", steps=30)
    assert run_ls() == 0
    out, err = capsys.readouterr()
    assert "unreadable" in out
    assert "bad.fwtop is not a recording" in err


def run_ls(*words: str) -> int:
    from argparse import ArgumentParser

    parser = ArgumentParser()
    ls.configure(parser)
    return ls.main(parser.parse_args(words))


def test_json_is_data_and_nothing_else(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(state / "run.fwtop", steps=30)
    run_ls("--json")
    out, err = capsys.readouterr()
    (row,) = json.loads(out)
    assert (row["steps"], row["state"], row["command"][0]) == (30, "finished", "train.py")
    assert err == ""


def test_no_run_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_ls() == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "no run yet" in err


def test_the_table_fits_a_terminal_and_obeys_no_escape(state: Path) -> None:
    build(state / "run.fwtop", steps=30, command=("\x1b[2Jtrain.py", "数" * 60))
    lines = ls.table(listing.at_hand(), 110)
    assert max(map(cell_width, lines)) <= 110
    assert all(line.isprintable() for line in lines)


def name_and_tags(path: Path, name: str | None, *tags: str) -> None:
    write_labels(path, name, tags)


def test_the_table_drops_columns_before_it_breaks(state: Path) -> None:
    path = build(state / "run.fwtop", steps=30)
    name_and_tags(path, "with 数 in its name", "baseline", "a100")
    for columns in (40, 60, 80, 100, 120, 200):
        head, row = ls.table(listing.at_hand(), columns)
        assert cell_width(head) <= columns
        assert cell_width(row) <= columns
        assert "RUN" in head
        assert "COMMAND" in head
    head, row = ls.table(listing.at_hand(), 80)
    assert "NAME" in head
    assert "MEDIAN" in head
    assert "STARTED" not in head
    head, row = ls.table(listing.at_hand(), 200)
    assert "STARTED" in head
    assert "baseline,a100" in row


def test_runs_are_filtered_by_tag_and_name(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (name, *tags) in enumerate([("Base", "a", "b"), ("fast", "a"), (None, "b")]):
        path = build(state / f"{number}.fwtop", steps=30, run_id=f"2026112{number}-000000-aaaa")
        name_and_tags(path, name, *tags)

    def listed(*words: str) -> list[str | None]:
        run_ls("--json", *words)
        return [one["name"] for one in json.loads(capsys.readouterr().out)]

    assert listed("--tag", "a") == ["fast", "Base"]
    assert listed("--tag", "a", "--tag", "b") == ["Base"]
    assert listed("--name", "bas") == ["Base"]
    assert listed("--name", "nothing") == []


def test_the_list_is_sorted_by_what_is_asked(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, steps in enumerate([300, 30, 900]):
        build(state / f"{number}.fwtop", steps=steps, run_id=f"2026112{number}-000000-aaaa")
    (state / "bad.fwtop").write_bytes(b"nothing")
    for words, expected in (
        (["--sort", "steps"], [900, 300, 30, None]),
        (["--sort", "size"], [900, 300, 30, None]),
    ):
        run_ls("--json", *words)
        assert [one["steps"] for one in json.loads(capsys.readouterr().out)] == expected


def test_a_run_is_found_by_its_name(state: Path) -> None:
    one = build(state / "one.fwtop", steps=30, run_id="20261123-000000-aaaa")
    two = build(state / "two.fwtop", steps=30, run_id="20261124-000000-bbbb")
    name_and_tags(one, "baseline")
    assert listing.find("baseline") == one
    name_and_tags(two, "baseline")
    with pytest.raises(Failure, match="2 runs have the name baseline"):
        listing.find("baseline")


def test_a_run_is_found_by_file_id_or_the_start_of_its_id(state: Path) -> None:
    path = build(state / "run.fwtop", steps=30, run_id="20261123-101112-abcd")
    assert listing.find(str(path)) == path
    assert listing.find("20261123-101112-abcd") == path
    assert listing.find("20261123") == path
    build(state / "other.fwtop", steps=30, run_id="20261123-121314-ffff")
    with pytest.raises(Failure) as several:
        listing.find("20261123")
    assert several.value.code is Code.NO_RUN
    with pytest.raises(Failure) as none:
        listing.find("20251231")
    assert none.value.code is Code.RECORDING
