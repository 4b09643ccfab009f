"""The switch of one hook: off for good once it has raised."""

from __future__ import annotations

from typing import Callable

from fwtop_profilers.probe import Context


class Guard:
    """One hook's, or one pair of hooks'."""

    __slots__ = ("_context", "_name", "off")

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self._name = name
        self.off = False

    def fail(self, error: BaseException) -> None:
        """The hook raised: switch it off, and say so once."""
        if not self.off:
            self.off = True
            self._context.tape.abandon()
            self._context.fail(self._name, error)

    def run(self, task: Callable[[], None]) -> bool:
        """Do something under the guard; whether it succeeded."""
        try:
            task()
        except Exception as error:
            self.fail(error)
            return False
        return True
