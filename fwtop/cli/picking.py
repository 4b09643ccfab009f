"""The runs of a command that was given none: picked on a screen, where there is a terminal."""

from __future__ import annotations

from fwtop.cli.diagnostics import Code, Failure
from fwtop.cli.options import state_folder
from fwtop.cli.run import has_terminal
from fwtop.runs.listed import ListedRun
from fwtop.tui.picker import Purpose, pick


def pick_for(purpose: Purpose, usage: str) -> list[ListedRun]:
    """The runs that the user picks; none if they leave.

    Raises Failure with `usage` where there is no terminal.
    """
    if not has_terminal():
        raise Failure(
            Code.USAGE, "which run? There is no terminal to pick one on", f"write {usage}"
        )
    try:
        return pick(purpose, state_folder())
    except RuntimeError as error:
        raise Failure(Code.TERMINAL, str(error), f"write {usage}") from error
