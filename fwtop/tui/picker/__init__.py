"""Which runs a command is about, picked on a screen of those at hand."""

from __future__ import annotations

from pathlib import Path

from fwtop.runs.listed import ListedRun
from fwtop.tui.picker.purpose import ATTACH, COMPARE, OPEN, Purpose

__all__ = ["ATTACH", "COMPARE", "OPEN", "Purpose", "pick"]


def pick(purpose: Purpose, state_folder: Path) -> list[ListedRun]:
    """The runs that the user picks, the first marked first; none if they leave.

    Needs a terminal. Raises RuntimeError if the screen fails.
    """
    from fwtop.tui.picker.app import PickerApp
    from fwtop.tui.terminal import drawn_on_the_terminal

    app = PickerApp(purpose, state_folder)
    with drawn_on_the_terminal():
        picked = app.run()
    if app.return_code:
        raise RuntimeError("the list of runs failed")
    return picked or []
