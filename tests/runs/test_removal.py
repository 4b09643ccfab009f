from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwtop import run_folder
from fwtop.launch import spec as launch_spec
from fwtop.launch.spec import LaunchSpec
from fwtop.run_folder import RunFolder
from fwtop.runs import removal
from fwtop.runs.listed import all_runs, listed
from fwtop.runs.removal import RemovalError, remove, strays, sweep, to_prune
from tests.recordings import build

LATER_S = time.time() + 2 * removal.UNOWNED_S


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run folders and shared memory of this test's own."""
    short = tempfile.mkdtemp(prefix="rm")
    monkeypatch.setattr(tempfile, "tempdir", short)
    folder = tmp_path / "shm"
    monkeypatch.setattr(run_folder, "shared_windows", lambda: folder)
    yield folder
    shutil.rmtree(short)


def folder_of(recording: Path, run_id: str) -> RunFolder:
    folder = run_folder.of(run_id)
    folder.create()
    spec = LaunchSpec(run_id, ["python"], ["train.py"], "/", str(recording), str(recording), False)
    launch_spec.write(spec, folder.launch)
    (folder.windows / "window-1.json").write_bytes(b"x" * 5000)
    return folder


def stray_names(now_s: float = LATER_S) -> list[str]:
    return [one.path.name for one in strays(now_s)]


def test_a_removed_run_takes_its_folders_along(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=30, state="running")
    folder = folder_of(path, "20261123-101112-abcd")
    freed = remove(listed(path, folder))
    assert freed > 5000
    assert not folder.path.exists()
    assert not folder.windows.exists()
    assert list(tmp_path.glob("run.fwtop*")) == []


def test_a_run_that_is_alive_stays(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=30)
    folder = folder_of(path, "20261123-101112-abcd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as shim:
        shim.bind(str(folder.shim_socket))
        shim.listen()
        with pytest.raises(RemovalError, match="is alive"):
            remove(listed(path, folder))
        assert stray_names() == []
    assert path.exists()
    assert folder.path.exists()


@pytest.mark.parametrize("name", ["notes.txt", "train.fwtop.py"])
def test_a_foreign_file_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("mine")
    with pytest.raises(RemovalError):
        remove(listed(path, None))
    assert path.read_text() == "mine"


def test_the_oldest_are_pruned_until_the_rest_fits(tmp_path: Path) -> None:
    for number in range(4):
        build(tmp_path / f"{number}.fwtop", steps=30, run_id=f"2026112{number}-000000-aaaa")
    runs = all_runs(tmp_path)
    one = runs[0].size_bytes or 0
    assert to_prune(runs, 10 * one) == []
    assert [run.id[:8] for run in to_prune(runs, 2 * one)] == ["20261120", "20261121"]
    assert len(to_prune(runs, 0)) == 4


def test_a_folder_is_stray_once_its_recording_is_finished_and_settled(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=30)
    folder = folder_of(path, "20261123-101112-abcd")
    assert stray_names(time.time()) == [], "it may only just end"
    found = list(strays(LATER_S))
    assert [one.path for one in found] == [folder.path, folder.windows]
    assert sweep(found) > 5000
    assert not folder.path.exists()
    assert not folder.windows.exists()
    assert path.exists()


def test_a_folder_that_attach_could_go_on_with_is_not_stray(tmp_path: Path) -> None:
    """The recorder died; what it had not written is in the folder only."""
    path = build(tmp_path / "run.fwtop", steps=30, state="running")
    folder_of(path, "20261123-101112-abcd")
    assert stray_names() == []


def test_a_folder_that_holds_the_recording_is_not_stray(tmp_path: Path) -> None:
    """The file could not be put in its place."""
    folder = run_folder.of("20261123-101112-abcd")
    folder.create()
    inside = build(folder.path / "run.fwtop", steps=30)
    spec = LaunchSpec(folder.run_id, [], [], "/", str(tmp_path / "run.fwtop"), str(inside), False)
    launch_spec.write(spec, folder.launch)
    assert stray_names() == []


def test_a_folder_whose_recording_lies_on_a_disk_that_is_away_is_not_stray(tmp_path: Path) -> None:
    folder_of(tmp_path / "away" / "run.fwtop", "20261123-101112-abcd")
    assert stray_names() == []
    folder = folder_of(tmp_path / "run.fwtop", "20261124-101112-abcd")
    assert stray_names() == [folder.run_id] * 2, "its recording was removed by hand"


def test_windows_of_a_run_with_another_temporary_folder_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "away" / "run.fwtop", "20261123-101112-abcd")
    elsewhere = tempfile.mkdtemp(prefix="rm")
    monkeypatch.setattr(tempfile, "tempdir", elsewhere)
    assert not run_folder.of(folder.run_id).path.exists()
    assert stray_names() == [], "the link says that its run folder is there"
    shutil.rmtree(folder.path)
    assert stray_names() == [folder.run_id]
    shutil.rmtree(elsewhere)


def test_a_shared_folder_of_somebody_else_is_not_looked_into(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shared / "20261123-101112-abcd").mkdir(parents=True)
    assert stray_names() == ["20261123-101112-abcd"]
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert stray_names() == []
