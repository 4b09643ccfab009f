"""What the user asks of a live run's recorder: signals, capture, budget, marks, input, size.

A mixin of the application's: dialogs ask, a worker sends, the footer tells what became of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import App

from fwtop import control
from fwtop.formatting import format_ratio
from fwtop.run_folder import RunFolder
from fwtop.tui.messages import Answered
from fwtop.tui.screens.dialogs import Choice, Option, Prompt, ratio_of
from fwtop.tui.snapshot import Snapshot
from fwtop.tui.widgets.log import Log

SIGINT, SIGTERM = 2, 15


class Requests(App[None]):
    """The actions that need a recorder. Its state is the application's."""

    _told_size: tuple[int, int] | None = None
    """Rows and columns that the script's terminal was last given."""

    if TYPE_CHECKING:
        snapshot: Snapshot | None
        _folder: RunFolder | None

        def say(self, text: str, passing: bool = True) -> None:
            """A notice in the footer."""

    @property
    def answers(self) -> bool:
        """Whether there is a recorder to ask."""
        return self._folder is not None and self.snapshot is not None and self.snapshot.live

    # Leaving and stopping

    def action_leave(self) -> None:
        """Ask what to do with a run that is alive; else leave."""
        if not self.answers:
            self.exit()
            return
        self.push_screen(
            Choice(
                "The run goes on",
                "What is to become of it?",
                (
                    Option("d", "detach", "training goes on; `fwtop attach` comes back"),
                    Option("s", "stop", "send Ctrl-C (SIGINT) to the script, stay and watch"),
                    Option("c", "cancel", "stay here"),
                ),
            ),
            self._left,
        )

    def action_interrupt(self) -> None:
        """Ctrl-C: ask once, send on the second."""
        if not self.answers:
            self.exit()
            return
        self.push_screen(
            Choice(
                "Stop the script?",
                "Ctrl-C again sends it Ctrl-C (SIGINT), as its own terminal would.",
                (
                    Option("i", "interrupt", "SIGINT, as Ctrl-C does (Ctrl-C again)"),
                    Option("t", "terminate", "SIGTERM, for a script that ignores Ctrl-C"),
                    Option("d", "detach", "leave the viewer, training goes on"),
                    Option("c", "cancel", "stay here"),
                ),
                again="i",
            ),
            self._left,
        )

    def action_detach(self) -> None:
        """Leave; the run goes on."""
        self.exit()

    def _left(self, answer: str | None) -> None:
        if answer == "d":
            self.exit()
        elif answer in ("s", "i"):
            self._send(SIGINT, "Ctrl-C")
        elif answer == "t":
            self._send(SIGTERM, "SIGTERM")

    def _send(self, number: int, name: str) -> None:
        self._request(control.SendSignal(number), f"{name} sent; waiting for the script to end")

    # Recording

    def action_capture(self) -> None:
        """One step in depth, now."""
        self._request(control.CaptureWindow(), "deep window asked for: it opens at the next step")

    def action_overhead(self) -> None:
        """Another budget for trace windows."""

        def answered(text: str | None) -> None:
            if text is None or not text.strip():
                return
            ratio = ratio_of(text)
            if ratio is None:
                self.say(f"“{text}” is no share: type 1%, 0.5% or 0")
                return
            self._request(
                control.SetOverhead(ratio), f"overhead budget is {format_ratio(ratio)} now"
            )

        self.push_screen(Prompt("overhead budget (1%, 0.5%, 0 for none):"), answered)

    def action_mark(self) -> None:
        """A note on the time axis."""

        def answered(text: str | None) -> None:
            if text:
                self._request(control.PlaceMark(text), f"marked “{text}”")

        self.push_screen(Prompt("mark this moment as:"), answered)

    # The script's terminal

    @on(Log.InputAsked)
    def _input(self) -> None:
        if not self.answers:
            self.say("the run is not live: nobody reads what is typed")
            return
        assert self.snapshot is not None
        if not self.snapshot.has_terminal:
            self.say("the script has no terminal to type into: it was started without one")
            return

        def answered(text: str | None) -> None:
            if text is not None:
                line = text.encode("utf-8", "replace") + b"\n"
                self._request(control.SendInput.of(line), "typed into the script's terminal")

        self.push_screen(Prompt("to the script (enter sends the line, esc does not):"), answered)

    def tell_size(self) -> None:
        """Give the script's terminal the size of this one, as a terminal of its own would have.

        Of several viewers the one that came or changed last decides. A run that was started
        without a viewer has its size from the terminal that its output is copied to.
        """
        size = self.size.height, self.size.width
        if size == self._told_size or not all(size) or not self.answers:
            return
        assert self.snapshot is not None
        assert self._folder is not None
        if self.snapshot.has_terminal and not self.snapshot.run.options.get("pass_through"):
            self._told_size = size
            self._ask(self._folder.control_socket, control.ResizeTerminal(*size), None)

    # Sending

    def _request(self, request: control.Request, done: str) -> None:
        if not self.answers:
            self.say("the run is not live: there is no recorder to ask")
            return
        assert self._folder is not None
        self._ask(self._folder.control_socket, request, done)

    @work(thread=True)
    def _ask(self, socket: Path, request: control.Request, done: str | None) -> None:
        """`done` is what to say then; None: nothing, whatever becomes of it."""
        try:
            control.ask(socket, request)
            answered = Answered(done or "")
        except control.ControlError as error:
            answered = Answered(str(error), failed=True)
        if done is not None:
            self.post_message(answered)

    def on_answered(self, message: Answered) -> None:
        """Say what became of it."""
        self.say(message.text)
