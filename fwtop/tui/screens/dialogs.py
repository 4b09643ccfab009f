"""Small dialogs over a screen: a choice, a line of text, help. Each returns its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from fwtop.tui.drawing import Row, fit, strip_of


@dataclass(frozen=True)
class Option:
    """One way to answer: a key, what it does, and what that means."""

    key: str
    title: str
    meaning: str


class Options(Widget, can_focus=True):
    """Options below each other; up and down, Enter, their keys, or a click."""

    def __init__(self, options: Sequence[Option], choose: Callable[[str], object]) -> None:
        super().__init__(id="options")
        self._options = options
        self._choose = choose
        self._at = 0
        self.styles.height = len(options)

    def render_line(self, y: int) -> Strip:
        """One option."""
        option = self._options[y]
        width = self.size.width
        marked = y == self._at
        row: Row = [
            ("▸ " if marked else "  ", "key"),
            (option.key, "key"),
            (f"  {fit(option.title, 10)}", "strong"),
            (option.meaning, "text" if marked else "dim"),
        ]
        return strip_of(row, width)

    def on_key(self, event: events.Key) -> None:
        """Move, or answer."""
        keys = [option.key for option in self._options]
        if event.key in ("up", "k", "down", "j"):
            event.stop()
            self._at = (self._at + (1 if event.key in ("down", "j") else -1)) % len(keys)
            self.refresh()
        elif event.key == "enter":
            event.stop()
            self._choose(keys[self._at])
        elif event.key in keys:
            event.stop()
            self._choose(event.key)

    def on_click(self, event: events.Click) -> None:
        """Answer."""
        self._choose(self._options[event.y].key)


class Choice(ModalScreen["str | None"]):
    """A question; returns the chosen option's key, or None for Escape."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(
        self, title: str, text: str, options: Sequence[Option], again: str | None = None
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._options = options
        self._again = again
        """What a second ctrl+c chooses."""

    def compose(self) -> ComposeResult:
        """Title, text, options."""
        with Vertical(id="dialog") as dialog:
            dialog.border_title = self._title
            yield Static(self._text, id="text", markup=False)
            yield Options(self._options, self.dismiss)

    def on_key(self, event: events.Key) -> None:
        """Ctrl+C twice is what somebody means who presses it twice."""
        if event.key == "ctrl+c" and self._again is not None:
            event.stop()
            self.dismiss(self._again)


class Prompt(ModalScreen["str | None"]):
    """A line of text at the bottom; `changed` is told while it is typed. Escape returns None."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        # The line itself would copy.
        Binding("ctrl+c", "interrupt", show=False, priority=True),
    ]

    def __init__(
        self,
        label: str,
        value: str = "",
        changed: Callable[[str], object] | None = None,
    ) -> None:
        super().__init__(classes="bottom")
        self._label = label
        self._value = value
        self._changed = changed

    def compose(self) -> ComposeResult:
        """The label and the line."""
        with Vertical(id="prompt"):
            yield Static(self._label, id="label", markup=False)
            line = Input(self._value, compact=True, select_on_focus=False)
            line.cursor_blink = False
            yield line

    def action_interrupt(self) -> None:
        """Ctrl-C means the script here too."""
        app = self.app
        self.dismiss(None)
        app.call_later(app.run_action, "interrupt")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell at once."""
        if self._changed is not None:
            self._changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Done."""
        self.dismiss(event.value)


class Help(ModalScreen[None]):
    """What a panel's figures are, and every key."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss(None)", show=False)
    ]

    def __init__(self, title: str, about: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title = title
        self._about = about
        self._keys = keys

    def compose(self) -> ComposeResult:
        """About, then keys."""
        with VerticalScroll(id="dialog", classes="help") as dialog:
            dialog.border_title = self._title
            dialog.border_subtitle = "esc"
            if self._about:
                yield Static(self._about, id="text", markup=False)
            yield Static(
                "\n".join(f"{written:>12}  {does}" for written, does in self._keys), markup=False
            )


def ratio_of(text: str) -> float | None:
    """`1%`, `1 %`, `0.5%` or `0.01` as a ratio in 0..1; None for anything else."""
    text = text.strip()
    try:
        ratio = float(text.rstrip("% ")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None
    return ratio if 0 <= ratio <= 1 else None
