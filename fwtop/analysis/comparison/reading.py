"""One figure of one run, before it is compared."""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.analysis.comparison.significance import Estimate

LOWER, HIGHER, NEITHER = "lower", "higher", "neither"


@dataclass(frozen=True)
class Reading:
    """One figure of one run."""

    metric: str
    section: str
    label: str
    unit: str
    better: str
    value: float | None
    estimate: Estimate | None = None
    """With its error, where the run itself tells how far it varies: of steps' times and rates."""
    of_steps: bool = False
    """Whether enough steps would tell."""
