"""The comparison of runs on a screen: A | B | delta, from the verdict down to one operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fwtop.analysis.comparison.model import Comparison

MOST_RUNS = 4
"""As many as have room beside each other."""


def view(
    paths: Sequence[Path],
    markdown: Callable[[Comparison], str] | None = None,
    known_as: Sequence[str | None] | None = None,
    repeats: Sequence[int] | None = None,
) -> None:
    """Compare two to four sides until the user leaves; the first is the baseline.

    `repeats` says how many of the recordings, in their order, are runs of each side; without it,
    each is one of its own. `known_as` names runs whose recordings have no name that a user knows.
    `markdown` writes the comparison as text, for the key `e`. Needs a terminal. Raises RuntimeError
    if the screen fails; what cannot be read is told on the screen.
    """
    counts = [1] * len(paths) if repeats is None else repeats
    if not 2 <= len(counts) <= MOST_RUNS:
        raise ValueError(f"{len(counts)} runs: two to {MOST_RUNS} are compared on a screen")
    from fwtop.tui.compare.picture import Source, by_side, load

    # The recordings are read while the screen's modules load.
    names = known_as or [None] * len(paths)
    runs = [Source(path, name) for path, name in zip(paths, names, strict=True)]
    sources = by_side(runs, counts)
    first = ThreadPoolExecutor(1).submit(load, sources)
    from fwtop.tui.compare.app import CompareApp
    from fwtop.tui.terminal import drawn_on_the_terminal

    app = CompareApp(sources, markdown, first)
    with drawn_on_the_terminal():
        app.run()
    if app.return_code:
        raise RuntimeError("the comparison's screen failed")
