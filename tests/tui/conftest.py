"""Recordings to look at, and how to wait for what the viewer's thread brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fwtop.run_folder import RunFolder
from fwtop.tui.app import FwtopApp
from tests import recordings

STARTED_NS = 1_000 * recordings.S
"""`run.started_monotonic_ns` of synthetic recordings."""
PATIENCE = 400


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished recording with a deep window."""
    path = tmp_path_factory.mktemp("finished") / "run.fwtop"
    builder = recordings.Builder(path, recordings.Spec(steps=600, windows=3))
    builder.add_everything()
    builder.add_window(deep=True)
    builder.finish()
    return path


@pytest.fixture
def live(tmp_path: Path) -> Iterator[recordings.Builder]:
    """The writer of a run that is alive, 400 steps in."""
    builder = recordings.Builder(tmp_path / "run.fwtop", recordings.Spec(state="running"))
    builder.add_steps(400)
    builder.add_window()
    builder.add_steps(20)
    yield builder
    builder._db.close()


def app_on(live: recordings.Builder, folder: Path | None = None) -> FwtopApp:
    """The viewer on a live run, whose clock is the writer's."""
    return FwtopApp(
        live.path,
        RunFolder(folder or live.path.parent),
        clock=lambda: STARTED_NS + live.now_ns,
    )


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Wait for an event of the viewer's."""
    for _ in range(PATIENCE):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"waited in vain; the screen shows:\n{screen_text(pilot.app)}")


async def loaded(pilot: Pilot[Any]) -> None:
    """The first picture of all that this screen wants has been drawn."""
    app = pilot.app
    assert isinstance(app, FwtopApp)

    def complete() -> bool:
        screen, snapshot = app.panel_screen, app.snapshot
        if snapshot is None or screen is None or screen.snapshot != snapshot:
            return False
        wanted = screen.wanted(app._wanted)
        return (
            wanted == app._wanted
            and all(getattr(snapshot, subject) is not None for subject in wanted.subjects)
            and (snapshot.steps is None or snapshot.steps.axis.count == max(10, wanted.columns))
        )

    await until(pilot, complete)
    await pilot.pause()
    await until(pilot, complete)
    await pilot.pause()


def screen_text(app: Any) -> str:
    """What is on the screen, as text."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)
