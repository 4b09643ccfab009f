"""The base of the screens that show panels of one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.reactive import var
from textual.widget import Widget

from fwtop.tui.screens.frame_screen import LAST_HINTS, FrameScreen
from fwtop.tui.snapshot import Snapshot, Wanted
from fwtop.tui.widgets.frame import Frame
from fwtop.tui.widgets.header import Header
from fwtop.tui.widgets.key_line import KeyLine
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.steps import SCALE

__all__ = ["LAST_HINTS", "PanelScreen"]


class PanelScreen(FrameScreen):
    """Subclasses say which panels there are, where they go, and which keys to hint at."""

    SUBJECT: ClassVar[str | None] = None
    """The one subject shown in full; None shows several."""
    LEAVE_HINT = "d to detach"

    snapshot: var[Snapshot | None] = var(None, init=False)

    def panels(self) -> list[Panel]:
        """The panels, the one to focus first at the start."""
        raise NotImplementedError

    def head(self) -> Widget:
        """Which run this is and how it stands."""
        return Header().data_bind(snapshot=PanelScreen.snapshot)

    def frames(self) -> Sequence[Frame[Any]]:
        """The panels, each with the newest picture."""
        return [panel.data_bind(snapshot=PanelScreen.snapshot) for panel in self.panels()]

    def watch_snapshot(self, before: Snapshot | None, after: Snapshot | None) -> None:
        """The number of devices may change the places, and the run's end the keys."""
        if _gpus(before) != _gpus(after):
            self.put_frames()
        if before is None or after is None or _keys_of(before) != _keys_of(after):
            self.show_keys(self.query_one(KeyLine).notice)

    def put_frames(self) -> None:
        """In their places; then what is visible is another matter."""
        super().put_frames()
        self.call_after_refresh(self.ask)

    def ask(self) -> None:
        """Tell the application what is visible now."""
        app = self.app
        if getattr(app, "panel_screen", None) is self:
            app.want(self.wanted)  # type: ignore[attr-defined]

    def wanted(self, before: Wanted) -> Wanted:
        """What this screen needs to be told, given what was wanted before."""
        from dataclasses import replace

        shown = [panel for panel in self.query(Panel) if panel.display]
        subjects = frozenset(subject for panel in shown for subject in panel.NEEDS)
        return replace(
            before,
            subjects=subjects,
            full=self.SUBJECT,
            columns=self.columns(),
        )

    def columns(self) -> int:
        """How many bins the widest plot over time has."""
        steps = [panel for panel in self.query(Panel) if panel.id == "steps" and panel.display]
        if steps:
            return max(10, steps[0].inner_width - SCALE - 1)
        return max(10, self.size.width - 14)

    def on_screen_resume(self) -> None:
        """Say what is wanted, draw what is new."""
        self.ask()


def _keys_of(snapshot: Snapshot) -> tuple[bool, bool]:
    """What decides which keys work."""
    return snapshot.live, snapshot.has_terminal


def _gpus(snapshot: Snapshot | None) -> int:
    return len(snapshot.devices) if snapshot is not None else 0
