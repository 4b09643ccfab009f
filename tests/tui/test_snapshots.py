"""How the screens look, at the three sizes that they are designed for.

After a change that is meant to be seen: look at the report, then `pytest --snapshot-update`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fwtop.tui.app import FwtopApp
from fwtop.tui.screens.full import FULL_SCREENS
from tests import recordings
from tests.tui.conftest import app_on, loaded

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x50": (200, 50)}


@pytest.fixture
def busy(tmp_path: Path) -> FwtopApp:
    """A live run, held still: starved of input, throttled, and compiling again right now."""
    builder = recordings.Builder(
        tmp_path / "run.fwtop",
        recordings.Spec(state="running", input_share=0.4, throttled=True),
    )
    builder.add_compile()
    builder.add_steps(500)
    builder.add_window()
    builder.add_steps(200)
    builder.add_window(deep=True)
    builder.add_mark("epoch", "3")
    builder.add_steps(200)
    where = {"process_id": 1, "compile_id": "[1/0]", "step_index": 902}
    source = {"function": "attention", "file": "/home/me/project/attention.py", "line": 118}
    begun = builder.now_ns - 4 * recordings.S
    builder.insert(
        "compile_events", **where, **source, key="why", kind="recompile", name="recompile",
        start_ns=begun, reason="tensor 'mask' stride mismatch at index 1. expected 1, actual 512",
    )  # fmt: skip
    builder.insert(
        "compile_events", **where, **source, key="again", kind="compile", name="attention",
        start_ns=begun,
    )  # fmt: skip
    for depth, name in enumerate(("inductor", "C++ compile"), 1):
        builder.insert(
            "compile_events", **where, key=name, kind="phase", name=name,
            parent_key="again" if depth == 1 else "inductor", start_ns=begun + depth * recordings.S,
        )  # fmt: skip
    builder.commit()
    return app_on(builder)


@pytest.mark.parametrize("size", SIZES)
def test_the_overview_of_a_busy_run(snap_compare: Any, busy: FwtopApp, size: str) -> None:
    assert snap_compare(busy, terminal_size=SIZES[size], run_before=loaded)


@pytest.mark.parametrize("size", ["80x24", "120x40"])
def test_the_overview_without_a_gpu(snap_compare: Any, tmp_path: Path, size: str) -> None:
    path = recordings.build(tmp_path / "run.fwtop", gpus=0, steps=600)
    assert snap_compare(FwtopApp(path), terminal_size=SIZES[size], run_before=loaded)


@pytest.mark.parametrize("subject", FULL_SCREENS)
def test_a_full_screen(snap_compare: Any, busy: FwtopApp, subject: str) -> None:
    async def open_it(pilot: Pilot[Any]) -> None:
        await loaded(pilot)
        await pilot.press(str(list(FULL_SCREENS).index(subject) + 1))
        await loaded(pilot)

    assert snap_compare(busy, terminal_size=SIZES["120x40"], run_before=open_it)


@pytest.mark.parametrize("size", SIZES)
def test_the_device_time(snap_compare: Any, busy: FwtopApp, size: str) -> None:
    async def open_it(pilot: Pilot[Any]) -> None:
        await loaded(pilot)
        for key in ("4", "t"):
            await pilot.press(key)
            await loaded(pilot)

    assert snap_compare(busy, terminal_size=SIZES[size], run_before=open_it)


def test_the_time_cursor(snap_compare: Any, finished: Path) -> None:
    async def move(pilot: Pilot[Any]) -> None:
        await loaded(pilot)
        await pilot.press("shift+left", "left", "left")
        await loaded(pilot)

    assert snap_compare(FwtopApp(finished), terminal_size=SIZES["120x40"], run_before=move)


def test_the_question_before_leaving(snap_compare: Any, busy: FwtopApp) -> None:
    async def ask(pilot: Pilot[Any]) -> None:
        await loaded(pilot)
        await pilot.press("q")
        await pilot.pause()

    assert snap_compare(busy, terminal_size=SIZES["80x24"], run_before=ask)
