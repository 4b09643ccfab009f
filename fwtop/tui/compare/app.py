"""The application that compares: reads in a thread, hands the picture to the screen that is shown.

Something is on the screen at once; the picture at hand stays while another one is on its way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from fwtop.analysis.comparison.model import Comparison
from fwtop.recording.store import RecordingError
from fwtop.tui.compare.frames import title_of
from fwtop.tui.compare.picture import Picture, Source, load
from fwtop.tui.compare.screens import SCREENS, CompareScreen, Overview, SubjectScreen
from fwtop.tui.compare.tables import CompareTable
from fwtop.tui.screens.dialogs import Prompt
from fwtop.tui.terminal_app import TerminalApp

KEYS: tuple[tuple[str, str, str, str], ...] = (
    # key, as written, action, what it does
    *(
        (str(number), str(number), f"subject({number})", screen.SUBJECT)
        for number, screen in enumerate(SCREENS, 1)
    ),
    ("escape,backspace,0", "esc", "back", "back to all of it"),
    ("", "tab", "", "the next table"),
    ("", "space →", "", "open a family or an operator (E: all families)"),
    ("", "←", "", "close it"),
    ("", "s S /", "", "sort by the next column, the other way; filter"),
    ("x", "x", "swap", "another run as the baseline"),
    ("r,f5", "r", "compare", "read the recordings again"),
    ("e", "e", "write", "write all of it to a Markdown file"),
    ("question_mark", "?", "help", "this help"),
    ("ctrl+l", "^l", "repaint", "draw the screen anew"),
    ("q,ctrl+q,ctrl+c", "q", "leave", "leave"),
)


class Loaded(Message):
    """A comparison, or why there is none."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self.picture = picture


class CompareApp(TerminalApp[None]):
    """Holds the picture and the order of the runs."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, does, show=False) for key, _, action, does in KEYS if key
    ]
    HELP_KEYS = tuple((written, does) for _, written, _, does in KEYS)

    def __init__(
        self,
        sources: Sequence[Source],
        markdown: Callable[[Comparison], str] | None = None,
        first: Future[Picture] | None = None,
        **options: Any,
    ) -> None:
        """`first` is the first picture, on its way already."""
        super().__init__(**options)
        self._first = first
        self.picture = Picture(tuple(sources))
        self._markdown = markdown

    def on_mount(self) -> None:
        """Show what is there, and compare."""
        screen = Overview()
        self.push_screen(screen)
        screen.call_after_refresh(self._show, self.picture)
        self.compare(self.picture.sources)

    def _show(self, picture: Picture) -> None:
        self.picture = picture
        screen = self.frame_screen
        if isinstance(screen, CompareScreen):
            screen.picture = picture

    # Comparing

    def compare(self, sources: tuple[Source, ...]) -> None:
        """Compare these; what is shown stays until that is done."""
        self._show(replace(self.picture, comparing=True))
        self._load(sources)

    @work(thread=True, exclusive=True, group="compare")
    def _load(self, sources: tuple[Source, ...]) -> None:
        try:
            first, self._first = self._first, None
            picture = load(sources) if first is None else first.result()
        except RecordingError as error:
            text = f"{error}; {error.next}" if error.next else str(error)
            picture = Picture(sources, comparing=False, failure=text)
        self.post_message(Loaded(picture))

    def on_loaded(self, message: Loaded) -> None:
        """Show it."""
        self._show(message.picture)
        if message.picture.failure:
            self.say("not compared: r tries again", passing=False)
        elif self._notice.startswith("not compared"):
            self.say("")

    def action_compare(self) -> None:
        """Read again."""
        self.compare(self.picture.sources)

    def action_swap(self) -> None:
        """The next run is the baseline."""
        sources = self.picture.sources
        self.compare((*sources[1:], sources[0]))

    # Screens

    def action_subject(self, number: int) -> None:
        """The screen of a subject."""
        kind = SCREENS[number - 1]
        shown = self.screen
        if isinstance(shown, kind):
            return
        screen = kind()
        if isinstance(shown, SubjectScreen):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)
        screen.call_after_refresh(lambda: self._show(self.picture))

    @on(CompareTable.Opened)
    def _open(self, message: CompareTable.Opened) -> None:
        self.action_subject(message.number)

    async def action_back(self) -> None:
        """From a subject to all of it."""
        if isinstance(self.screen, SubjectScreen):
            self.pop_screen()
            self._show(self.picture)

    def action_leave(self) -> None:
        """The end."""
        self.exit()

    def action_interrupt(self) -> None:
        """Ctrl-C in a line of text."""
        self.exit()

    # A file

    def action_write(self) -> None:
        """Ask where to."""
        comparison = self.picture.comparison
        if comparison is None or self._markdown is None:
            self.say("there is nothing to write yet")
            return
        self.push_screen(
            Prompt("write Markdown to:", title_of(comparison)),
            lambda name: self._write(comparison, name) if name else None,
        )

    @work(thread=True, group="write")
    def _write(self, comparison: Comparison, name: str) -> None:
        assert self._markdown is not None
        path = Path(name).expanduser()
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(self._markdown(comparison))
        except FileExistsError:
            self.call_from_thread(self.say, f"{path} exists already: choose another name")
        except OSError as error:
            text = os.strerror(error.errno or 0)
            self.call_from_thread(self.say, f"{path} cannot be written: {text}")
        else:
            self.call_from_thread(self.say, f"written to {path}")
