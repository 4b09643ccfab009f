"""The comparison of runs on a screen: A | B | delta, from the verdict down to one operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fwtop.analysis.comparison_model import Comparison

MOST_RUNS = 4
"""As many as have room beside each other."""


def view(
    paths: Sequence[Path],
    markdown: Callable[[Comparison], str] | None = None,
    known_as: Sequence[str | None] | None = None,
) -> None:
    """Compare two to four recordings until the user leaves; the first is the baseline.

    `known_as` names runs whose recordings have no name that a user knows. `markdown` writes the
    comparison as text, for the key `e`. Needs a terminal. Raises RuntimeError if the screen fails;
    what cannot be read is told on the screen.
    """
    if not 2 <= len(paths) <= MOST_RUNS:
        raise ValueError(f"{len(paths)} runs: two to {MOST_RUNS} are compared on a screen")
    from fwtop.tui.compare.picture import Source, load

    # The recordings are read while the screen's modules load.
    names = known_as or [None] * len(paths)
    sources = tuple(Source(path, name) for path, name in zip(paths, names, strict=True))
    first = ThreadPoolExecutor(1).submit(load, sources)
    from fwtop.tui.compare.app import CompareApp
    from fwtop.tui.terminal import drawn_on_the_terminal

    app = CompareApp(sources, markdown, first)
    with drawn_on_the_terminal():
        app.run()
    if app.return_code:
        raise RuntimeError("the comparison's screen failed")
