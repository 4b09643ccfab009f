"""What the watcher's thread tells the application. Immutable."""

from __future__ import annotations

from textual.message import Message

from fwtop.tui.snapshot import Snapshot


class Updated(Message):
    """There is a new picture. One that has not been looked at yet is replaced."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Only the newest picture matters."""
        return isinstance(message, Updated)


class Unreadable(Message):
    """The recording cannot be read now; the watcher tries again."""

    def __init__(self, text: str, next: str) -> None:
        super().__init__()
        self.text = text
        self.next = next


class Answered(Message):
    """What became of a request to the recorder, in words."""

    def __init__(self, text: str, failed: bool = False) -> None:
        super().__init__()
        self.text = text
        self.failed = failed
