"""What every application of fwtop's has in common: how it looks, writes, and is told to end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from textual import on
from textual.app import App
from textual.screen import Screen

from fwtop.tui.front_buffer import FrontBuffer, diffed
from fwtop.tui.screens.dialogs import Help, Prompt
from fwtop.tui.screens.frame_screen import FrameScreen
from fwtop.tui.terminal_driver import TerminalDriver
from fwtop.tui.widgets.frame import Frame
from fwtop.tui.widgets.table import FrameTable

NOTICE_S = 6.0
Result = TypeVar("Result")


class TerminalApp(App[Result], Generic[Result]):
    """In the terminal's own colours, without animation; only cells that changed are written."""

    TITLE = "fwtop"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    HELP_KEYS: ClassVar[tuple[tuple[str, str], ...]] = ()
    """As written, and what they do."""

    def __init__(self, **options: Any) -> None:
        super().__init__(driver_class=TerminalDriver, ansi_color=True, **options)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self._buffer = FrontBuffer()
        self._notice = ""

    def on_mount(self) -> None:
        """Know when the terminal shows something else, and when to end."""
        self.app_suspend_signal.subscribe(self, lambda _: self._buffer.clear())
        self.app_resume_signal.subscribe(self, lambda _: self._buffer.clear())
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.exit)

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """Write only the cells that changed (see front_buffer)."""
        if hasattr(renderable, "render_segments"):
            renderable = diffed(renderable, self._buffer)
        super()._display(screen, renderable)

    def on_resize(self) -> None:
        """The terminal may have moved or cleared anything."""
        self._buffer.clear()

    def push_screen(self, *args: Any, **options: Any) -> Any:
        """Another screen: everything is written anew."""
        self._buffer.clear()
        return super().push_screen(*args, **options)

    def pop_screen(self) -> Any:
        """The screen below: everything is written anew."""
        self._buffer.clear()
        return super().pop_screen()

    def switch_screen(self, *args: Any, **options: Any) -> Any:
        """Another screen instead: everything is written anew."""
        self._buffer.clear()
        return super().switch_screen(*args, **options)

    def action_repaint(self) -> None:
        """Write the whole screen anew."""
        self._buffer.clear()
        self.screen.refresh(layout=True)

    @property
    def frame_screen(self) -> FrameScreen | None:
        """The uppermost screen of frames, perhaps under a dialog."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, FrameScreen):
                return screen
        return None

    def say(self, text: str, passing: bool = True) -> None:
        """A notice in the footer, for a few seconds unless it stays."""
        if text == self._notice:
            return
        self._notice = text
        if screen := self.frame_screen:
            screen.show_keys(text)
        if text and passing:
            self.set_timer(NOTICE_S, lambda: self.say("") if self._notice == text else None)

    @on(FrameTable.FilterAsked)
    def _filter(self, message: FrameTable.FilterAsked) -> None:
        table = message.table
        before = table.needle
        self.push_screen(
            Prompt(f"filter {table.TITLE.lower()}:", before, table.filter_by),
            lambda text: table.filter_by(before) if text is None else None,
        )

    def action_help(self) -> None:
        """The focused frame's figures, and all keys."""
        screen = self.frame_screen
        focused = screen.focused if screen is not None else None
        title, about = "fwtop", ""
        if isinstance(focused, Frame):
            title, about = focused.TITLE, focused.ABOUT
        self.push_screen(Help(title, about, self.HELP_KEYS))
