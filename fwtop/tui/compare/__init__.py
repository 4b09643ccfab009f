"""The comparison of runs on a screen: A | B | delta, from the verdict down to one operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fwtop.analysis.comparison_model import Comparison

MOST_RUNS = 4
"""As many as have room beside each other."""


def view(paths: Sequence[Path], markdown: Callable[[Comparison], str] | None = None) -> None:
    """Compare two to four recordings until the user leaves; the first is the baseline.

    `markdown` writes the comparison as text, for the key `e`. Needs a terminal. Raises RuntimeError
    if the screen fails; what cannot be read is told on the screen.
    """
    from fwtop.tui.compare.app import CompareApp
    from fwtop.tui.terminal import drawn_on_the_terminal

    if not 2 <= len(paths) <= MOST_RUNS:
        raise ValueError(f"{len(paths)} runs: two to {MOST_RUNS} are compared on a screen")
    app = CompareApp(paths, markdown)
    with drawn_on_the_terminal():
        app.run()
    if app.return_code:
        raise RuntimeError("the comparison's screen failed")
