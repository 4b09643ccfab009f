"""The base of every panel of a run's: one subject of the recording in a frame.

A panel takes one immutable snapshot down and sends messages up; it never queries.
"""

from __future__ import annotations

from typing import ClassVar

from textual.message import Message

from fwtop.tui.drawing import Row, fit, wrap
from fwtop.tui.snapshot import SUBJECTS, Snapshot
from fwtop.tui.widgets.frame import Frame


class Panel(Frame[Snapshot]):
    """One subject of the recording in a frame. `full` panels have a screen of their own."""

    SUBJECT: ClassVar[str] = ""
    NEEDS: ClassVar[frozenset[str]] = frozenset()
    """The subjects of a snapshot that it draws."""

    class Opened(Message):
        """The panel asks for its full screen."""

        def __init__(self, panel: Panel) -> None:
            super().__init__()
            self.panel = panel

    def __init__(self, *, full: bool = False, id: str | None = None) -> None:
        super().__init__(full=full, id=id or self.SUBJECT)

    def _rows(self, width: int, height: int) -> list[Row]:
        snapshot = self.snapshot
        if (
            snapshot is not None
            and self.SUBJECT in SUBJECTS
            and getattr(snapshot, self.SUBJECT) is None
        ):
            failure = snapshot.failures.get(self.SUBJECT)
            return [[(line, "bad")] for line in wrap(failure, width)] if failure else []
        return super()._rows(width, height)

    def action_open(self) -> None:
        """Ask for the full screen."""
        if not self.full:
            self.post_message(self.Opened(self))


def label(text: str, width: int) -> Row:
    """A figure's name, in the quiet role."""
    return [(fit(text, width), "dim")]
