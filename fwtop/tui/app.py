"""The viewer: one application on one recording, live or finished.

`view` is what the command line calls. The application holds what is wanted (the time cursor, pause,
zoom), hands each picture to the screen that is shown, and asks the recorder through fwtop.control;
drawing is the panels' business, reading the watcher's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from fwtop.run_folder import RunFolder
from fwtop.tui import timeline
from fwtop.tui.keys import COMMANDS, KEYS
from fwtop.tui.messages import Unreadable, Updated
from fwtop.tui.requests import Requests
from fwtop.tui.screens.dialogs import Prompt
from fwtop.tui.screens.full import FULL_SCREENS
from fwtop.tui.screens.overview import Overview
from fwtop.tui.screens.panel_screen import PanelScreen
from fwtop.tui.snapshot import SUBJECTS, Snapshot, Wanted
from fwtop.tui.terminal import drawn_on_the_terminal
from fwtop.tui.terminal_app import TerminalApp
from fwtop.tui.time_actions import TimeActions
from fwtop.tui.watcher import Watcher
from fwtop.tui.widgets.header import state_of
from fwtop.tui.widgets.log import HIDING, Log, next_hiding
from fwtop.tui.widgets.panel import Panel

INTERVALS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Left:
    """How the run stood when the user left."""

    ended: bool
    exit_status: int | None = None
    """The script's, 128 + n for signal n; None while it runs, and where nobody saw its end."""


def view(path: Path, folder: RunFolder | None) -> Left:
    """Show a recording until the user leaves; live if `folder` is the run's."""
    app = FwtopApp(path, folder)
    with drawn_on_the_terminal():
        app.run()
    if app.return_code:
        raise RuntimeError("the viewer failed; the run goes on")
    return app.left()


class FwtopApp(TimeActions, Requests, TerminalApp[None]):
    """Screens, keys, and the moment that everything shows."""

    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, does, show=False) for key, _, action, does in KEYS if key
    ]
    HELP_KEYS = tuple((written, does) for _, written, _, does in KEYS if written)

    def __init__(
        self,
        path: Path,
        folder: RunFolder | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.snapshot: Snapshot | None = None
        self._path = path
        self._folder = folder
        self._wanted = Wanted(span_ns=2 * timeline.MINUTE_NS if folder is not None else 0)
        self._watcher = Watcher(path, folder, self.post_message, clock)
        self._was_live = folder is not None

    # Life

    def on_mount(self) -> None:
        """Begin to watch."""
        self.push_screen(Overview())
        self._watch()

    @work(thread=True, exit_on_error=True)
    def _watch(self) -> None:
        self._watcher.run()

    def on_unmount(self) -> None:
        """Let the thread end."""
        self._watcher.stop()

    def left(self) -> Left:
        """How the run stands."""
        run = self.snapshot.run if self.snapshot is not None else None
        if run is None or run.state not in ("finished", "finishing", "lost"):
            return Left(ended=False)
        if run.exit_signal is not None:
            return Left(ended=True, exit_status=128 + run.exit_signal)
        return Left(ended=True, exit_status=run.exit_status)

    # Pictures

    @property
    def panel_screen(self) -> PanelScreen | None:
        """The uppermost screen of panels, perhaps under a dialog."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, PanelScreen):
                return screen
        return None

    def on_updated(self, message: Updated) -> None:
        """Show the picture on the screen that is seen."""
        ended = self._was_live and not message.snapshot.live
        self.snapshot = message.snapshot
        screen = self.panel_screen
        if screen is not None:
            screen.snapshot = message.snapshot
        self.tell_size()
        if message.snapshot.recorder_gone:
            self.say("recorder gone; training goes on. `fwtop attach` starts a new one", False)
        if ended:
            self._was_live = False
            self._ended(message.snapshot)

    def _ended(self, snapshot: Snapshot) -> None:
        if screen := self.panel_screen:
            screen.show_keys(self._notice)
        _, words, _ = state_of(snapshot.run)
        self.say(f"{words}: q leaves, ←→ look back", False)
        self.want(lambda wanted: replace(timeline.live(wanted), paused_ns=None, span_ns=0))

    def on_unreadable(self, message: Unreadable) -> None:
        """Say it; the watcher tries again."""
        self.say(f"{message.text}; {message.next}" if message.next else message.text)

    def want(self, change: Callable[[Wanted], Wanted]) -> None:
        """Something else is to be shown."""
        self._wanted = change(self._wanted)
        self._watcher.want(self._wanted)

    def _hand_over(self, screen: PanelScreen) -> None:
        """The picture at hand, until there is one that this screen asked for."""

        def newest() -> None:
            if self.snapshot is not None:
                screen.snapshot = self.snapshot

        screen.call_after_refresh(newest)

    # Which screen, and how often

    def action_refresh_rate(self, by: int) -> None:
        """More or less often."""
        index = INTERVALS_S.index(self._watcher.interval_s) - by
        self._watcher.interval_s = INTERVALS_S[max(0, min(len(INTERVALS_S) - 1, index))]
        self.say(f"refresh every {self._watcher.interval_s:g} s")

    def action_log_levels(self) -> None:
        """Leave out other levels of the libraries' lines in the log."""
        hides = next_hiding(self._wanted.log_hides)
        self.want(lambda wanted: replace(wanted, log_hides=hides))
        self.say(f"log: {HIDING[hides]}")

    def action_open(self, number: int) -> None:
        """The full screen of a subject."""
        subject = SUBJECTS[number - 1]
        screen = self.panel_screen
        if screen is not None and subject == screen.SUBJECT:
            return
        full = FULL_SCREENS[subject]()
        if screen is not None and screen.SUBJECT is not None:
            self.switch_screen(full)
        else:
            self.push_screen(full)
        self._hand_over(full)

    def on_panel_opened(self, message: Panel.Opened) -> None:
        """Enter on a panel."""
        if message.panel.SUBJECT in FULL_SCREENS:
            self.action_open(SUBJECTS.index(message.panel.SUBJECT) + 1)

    async def action_back(self) -> None:
        """From a full screen to the overview; from the cursor to now."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
            if (screen := self.panel_screen) and self.snapshot is not None:
                screen.snapshot = self.snapshot
        elif self._wanted.until_ns is not None:
            self.action_live()

    # Dialogs

    @on(Log.SearchAsked)
    def _search(self, message: Log.SearchAsked) -> None:
        panel = message.log_panel
        self.push_screen(
            Prompt("search the log:", panel.needle),
            lambda text: panel.search(text) if text is not None else None,
        )

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every action, for the command palette."""
        for title, does, action in COMMANDS:
            yield SystemCommand(title, does, lambda action=action: self.run_worker(
                self.run_action(action)
            ))  # fmt: skip
