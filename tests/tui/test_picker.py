"""Runs picked, labelled and removed on a screen, on real recordings in a state folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fwtop.queries.run import get_run
from fwtop.recording.labels import write_labels
from fwtop.recording.store import open_recording
from fwtop.tui.picker import ATTACH, COMPARE, OPEN
from fwtop.tui.picker.app import PickerApp, split_tags
from fwtop.tui.screens.dialogs import Choice, Prompt
from tests.recordings import Builder, Spec, build
from tests.tui.conftest import screen_text, until

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x50": (200, 50)}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Five recordings, one of them damaged, and no run that is alive."""
    short = tempfile.mkdtemp(prefix="pick")
    monkeypatch.setattr(tempfile, "tempdir", short)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    folder = tmp_path / "state"
    folder.mkdir()
    for number, (command, steps, status) in enumerate(
        [
            (("train.py", "--lr", "1e-3"), 300, 0),
            (("train.py", "--lr", "3e-4", "--compile"), 900, 0),
            (("finetune.py", "--model", "bert-base", "--epochs", "3"), 60, 1),
            (("-m", "project.train", "--config", "configs/wide-and-deep.yaml"), 1200, 0),
        ]
    ):
        run_id = f"2026112{number}-101112-abc{number}"
        path = folder / f"{run_id}.fwtop"
        build(path, steps=steps, run_id=run_id, command=command, exit_status=status, gpus=0)
    write_labels(folder / "20261120-101112-abc0.fwtop", "baseline", ["a100", "release"])
    damaged = folder / "20261124-000000-dead.fwtop"
    damaged.write_bytes(b"not a recording")
    os.utime(damaged, (1_795_000_000, 1_795_000_000))
    yield folder
    shutil.rmtree(short)


def names(app: PickerApp) -> list[str]:
    """What the table shows, by the last letter of the ids."""
    return [one.id[-1] for one in app._table._shown]


async def listed(pilot: Pilot[Any]) -> None:
    app = pilot.app
    assert isinstance(app, PickerApp)
    await until(pilot, lambda: not app.list.reading and app._table._shown)
    await pilot.pause()


async def test_enter_takes_the_selected_run(state: Path) -> None:
    app = PickerApp(OPEN, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        assert set(names(app)) == set("0123d")
        app._table.selected = str(state / "20261121-101112-abc1.fwtop")
        await pilot.press("enter")
    assert app.return_value is not None
    assert [one.id for one in app.return_value] == ["20261121-101112-abc1"]


async def select(pilot: Pilot[Any], run: str) -> None:
    """Move to a run as a user does."""
    app = pilot.app
    assert isinstance(app, PickerApp)
    await pilot.press("g")
    for _ in names(app):
        chosen = app._table.chosen()
        if chosen is not None and chosen.id.endswith(run):
            return
        await pilot.press("down")
    raise AssertionError(f"no run {run} in {names(app)}")


async def test_runs_are_compared_in_the_order_of_their_marks(state: Path) -> None:
    app = PickerApp(COMPARE, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        for run in "203":
            await select(pilot, run)
            await pilot.press("space")
        assert "3 of 2 to 4 marked" in screen_text(app)
        await select(pilot, "0")
        await pilot.press("space")
        await pilot.press("enter")
    assert app.return_value is not None
    assert [one.id[-1] for one in app.return_value] == ["2", "3"]


async def test_one_mark_and_the_selected_run_make_a_pair(state: Path) -> None:
    app = PickerApp(COMPARE, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await select(pilot, "1")
        await pilot.press("enter")
        assert app.return_value is None
        assert "mark 2 runs" in screen_text(app)
        await pilot.press("space")
        await select(pilot, "3")
        await pilot.press("enter")
    assert app.return_value is not None
    assert [one.id[-1] for one in app.return_value] == ["1", "3"]


async def test_a_damaged_recording_is_not_taken(state: Path) -> None:
    app = PickerApp(COMPARE, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await select(pilot, "dead")
        await until(pilot, lambda: "fwtop's" in screen_text(app))
        await pilot.press("space", "enter")
        assert app.list.marked == ()
        assert app.return_value is None
        assert "cannot be read" in screen_text(app)


async def test_the_list_is_filtered_as_one_types(state: Path) -> None:
    app = PickerApp(OPEN, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await pilot.press("slash", "b", "e", "r", "t")
        assert isinstance(app.screen, Prompt)
        assert names(app) == ["2"]
        await pilot.press("enter", "escape")
        assert len(names(app)) == 5, "escape takes the filter away first"
        await pilot.press("slash", *"release", "enter", "enter")
    assert app.return_value is not None
    assert [one.id[-1] for one in app.return_value] == ["0"]


async def test_name_and_tags_are_written(state: Path) -> None:
    path = state / "20261123-101112-abc3.fwtop"
    app = PickerApp(OPEN, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await select(pilot, "3")
        await pilot.press("n", *"wide", "enter")
        await until(pilot, lambda: "wide" in screen_text(app))
        await pilot.press("t", *"x, y,x", "enter")
        await until(pilot, lambda: "x, y" in screen_text(app))
    with open_recording(path) as recording:
        run = get_run(recording)
    assert (run.name, run.tags) == ("wide", ("x", "y"))


async def test_what_cannot_be_labelled_says_why(state: Path) -> None:
    app = PickerApp(OPEN, state)
    async with app.run_test(size=(160, 40)) as pilot:
        await listed(pilot)
        await select(pilot, "dead")
        await pilot.press("n", *"x", "enter")
        await until(pilot, lambda: "is not a recording" in app._notice)


async def test_runs_are_removed_after_a_question(state: Path) -> None:
    app = PickerApp(OPEN, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await select(pilot, "1")
        await pilot.press("d")
        assert isinstance(app.screen, Choice)
        await pilot.press("enter")
        assert (state / "20261121-101112-abc1.fwtop").exists(), "cancel is first"
        await pilot.press("d", "d")
        await until(pilot, lambda: "1" not in names(app))
        assert "freed" in screen_text(app)
    assert not (state / "20261121-101112-abc1.fwtop").exists()


async def test_attach_lists_only_what_is_alive(state: Path) -> None:
    app = PickerApp(ATTACH, state)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: not app.list.reading)
        await until(pilot, lambda: "No run here" in screen_text(app))
        await pilot.press("enter")
        assert app.return_value is None
        await pilot.press("q")
    assert app.return_value is None


def test_tags_are_split_at_commas() -> None:
    assert split_tags(" a, b ,,a ") == ("a", "b")
    assert split_tags("") == ()


@pytest.mark.parametrize("size", SIZES)
def test_how_it_looks(
    snap_compare: Any, state: Path, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mark(pilot: Pilot[Any]) -> None:
        await listed(pilot)
        for run in "02":
            await select(pilot, run)
            await pilot.press("space")
        await select(pilot, "0")
        await pilot.pause()

    monkeypatch.chdir(state)
    assert snap_compare(PickerApp(COMPARE, Path()), terminal_size=SIZES[size], run_before=mark)


async def test_no_text_of_a_recording_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "run.fwtop", Spec(steps=30, command=("\x1b[2Jtrain.py",)))
    builder.add_everything()
    builder._db.execute(
        "UPDATE run SET id = 'a[/b]' || char(27) || '[2J', name = ?, tags = ?",
        ("\x1b]0;x\x07[/b]", '["\\u001b[5m"]'),
    )
    builder.commit()
    builder.finish()
    app = PickerApp(OPEN, tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        for keys in ([], ["n"], ["escape", "t"], ["escape", "d"]):
            await pilot.press(*keys)
            await pilot.pause()
            assert all(line.isprintable() for line in screen_text(app).splitlines()), keys
