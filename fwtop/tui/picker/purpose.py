"""What runs are picked for: how many it takes, and which ones it can do with."""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.runs.listed import ListedRun


@dataclass(frozen=True)
class Purpose:
    """A command that was given no run."""

    command: str
    asks: str
    least: int = 1
    most: int = 1
    live_only: bool = False
    verb: str = "open"
    """What Enter does."""

    def takes(self, run: ListedRun) -> bool:
        """Whether the run can be picked for it."""
        return run.live if self.live_only else run.problem is None


OPEN = Purpose("fwtop open", "Which run?")
ATTACH = Purpose("fwtop attach", "Which of the runs that are alive?", live_only=True, verb="attach")
COMPARE = Purpose(
    "fwtop compare", "Which runs? The first one marked is the baseline.", 2, 4, verb="compare"
)
