"""The base of the screens that show panels: header, panels in their places, keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.reactive import var
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from fwtop.tui import places
from fwtop.tui.places import Box
from fwtop.tui.snapshot import Snapshot, Wanted
from fwtop.tui.widgets.header import Header
from fwtop.tui.widgets.key_line import Hint, KeyLine
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.steps import SCALE

LAST_HINTS: tuple[Hint, ...] = (
    ("q", "q", "quit"),
    ("ctrl+p", "^p", "all"),
    ("question_mark", "?", "help"),
)


class PanelScreen(Screen[None]):
    """Subclasses say which panels there are, where they go, and which keys to hint at."""

    CSS_PATH = "panel_screen.tcss"
    SUBJECT: ClassVar[str | None] = None
    """The one subject shown in full; None shows several."""

    snapshot: var[Snapshot | None] = var(None, init=False)

    def panels(self) -> list[Panel]:
        """The panels, the one to focus first at the start."""
        raise NotImplementedError

    def places(self, width: int, height: int) -> Mapping[str, Box]:
        """A box for each id that is shown."""
        raise NotImplementedError

    def hints(self) -> tuple[Hint, ...]:
        """The keys of this screen."""
        return LAST_HINTS

    def compose(self) -> ComposeResult:
        """Everything lies on one layer, at places of its own."""
        yield Header().data_bind(snapshot=PanelScreen.snapshot)
        for panel in self.panels():
            yield panel.data_bind(snapshot=PanelScreen.snapshot)
        yield KeyLine()
        yield Static(id="too_small")

    def on_resize(self, event: events.Resize) -> None:
        """New places."""
        self.put_panels()

    def watch_snapshot(self, before: Snapshot | None, after: Snapshot | None) -> None:
        """The number of devices may change the places, and the run's end the keys."""
        if _gpus(before) != _gpus(after):
            self.put_panels()
        if before is None or after is None or _keys_of(before) != _keys_of(after):
            self.show_keys(self.query_one(KeyLine).notice)

    def put_panels(self) -> None:
        """Put every widget in its place; what has none is not displayed and does no work."""
        width, height = self.size
        if not width or not self.is_mounted:
            return
        small = places.too_small(width, height)
        notice = self.query_one("#too_small", Static)
        notice.display = small
        if small:
            notice.update(
                f"This terminal has {width}×{height} cells; fwtop needs at least "
                f"{places.LEAST_WIDTH}×{places.LEAST_HEIGHT}. Enlarge it, or press d to detach."
            )
        boxes = {} if small else self.places(width, height)
        boxed = places.boxed(width, height)
        for widget in self.children:
            if widget is notice:
                continue
            box = boxes.get(widget.id or "")
            widget.display = box is not None
            if box is not None:
                _put(widget, box)
            if isinstance(widget, Panel):
                widget.boxed = boxed
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

    def show_keys(self, notice: str = "") -> None:
        """The hints for what is focused."""
        focused = self.focused
        extra: tuple[Hint, ...] = ()
        if isinstance(focused, Panel):
            extra = tuple(
                (
                    binding.key.split(",")[0],
                    binding.key_display or binding.key.split(",")[0],
                    binding.description.lower(),
                )
                for binding in focused.shown_keys()
            )
        self.query_one(KeyLine).show((*extra, *self.hints()), notice)

    def on_descendant_focus(self) -> None:
        """Other keys."""
        self.show_keys()

    def on_screen_resume(self) -> None:
        """Shown again: say what is wanted, draw what is new."""
        self.ask()
        self.show_keys()


def _keys_of(snapshot: Snapshot) -> tuple[bool, bool]:
    """What decides which keys work."""
    return snapshot.live, snapshot.has_terminal


def _put(widget: Widget, box: Box) -> None:
    styles = widget.styles
    styles.offset = (box.x, box.y)
    styles.width = box.width
    styles.height = box.height


def _gpus(snapshot: Snapshot | None) -> int:
    return len(snapshot.devices) if snapshot is not None else 0
