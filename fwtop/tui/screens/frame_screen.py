"""The base of the screens that show frames: a header, frames in their places, keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from fwtop.tui import places
from fwtop.tui.places import Box
from fwtop.tui.widgets.frame import Frame
from fwtop.tui.widgets.key_line import Hint, KeyLine

LAST_HINTS: tuple[Hint, ...] = (
    ("q", "q", "quit"),
    ("ctrl+p", "^p", "all"),
    ("question_mark", "?", "help"),
)


class FrameScreen(Screen[None]):
    """Subclasses say which frames there are, where they go, and which keys to hint at."""

    CSS_PATH = Path(__file__).with_name("frame_screen.tcss")
    LEAVE_HINT = "q to leave"

    def head(self) -> Widget:
        """The header."""
        raise NotImplementedError

    def frames(self) -> Sequence[Frame[Any]]:
        """The frames, in the order of Tab."""
        raise NotImplementedError

    def places(self, width: int, height: int) -> Mapping[str, Box]:
        """A box for each id that is shown."""
        raise NotImplementedError

    def hints(self) -> tuple[Hint, ...]:
        """The keys of this screen."""
        return LAST_HINTS

    def compose(self) -> ComposeResult:
        """Everything lies on one layer, at places of its own."""
        yield self.head()
        yield from self.frames()
        yield KeyLine()
        yield Static(id="too_small")

    def on_resize(self, event: events.Resize) -> None:
        """New places."""
        self.put_frames()

    def put_frames(self) -> None:
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
                f"{places.LEAST_WIDTH}×{places.LEAST_HEIGHT}. Enlarge it, or press "
                f"{self.LEAVE_HINT}."
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
            if isinstance(widget, Frame):
                widget.boxed = boxed

    def show_keys(self, notice: str = "") -> None:
        """The hints for what is focused."""
        focused = self.focused
        extra: tuple[Hint, ...] = ()
        if isinstance(focused, Frame):
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
        """Shown again."""
        self.show_keys()


def _put(widget: Widget, box: Box) -> None:
    styles = widget.styles
    styles.offset = (box.x, box.y)
    styles.width = box.width
    styles.height = box.height
