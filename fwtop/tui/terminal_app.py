"""What every application of fwtop's has in common: how it looks, writes, and is told to end."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Generic, TypeVar

from textual.app import App
from textual.screen import Screen

from fwtop.tui.front_buffer import FrontBuffer, diffed

Result = TypeVar("Result")


class TerminalApp(App[Result], Generic[Result]):
    """In the terminal's own colours, without animation; only cells that changed are written."""

    TITLE = "fwtop"
    CSS_PATH = "app.tcss"

    def __init__(self, **options: Any) -> None:
        super().__init__(ansi_color=True, **options)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self._buffer = FrontBuffer()

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
