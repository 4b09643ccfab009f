"""A trace window on its way into the recording."""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.analysis.results import WindowFigures
from fwtop.recorder.rollups import Row


@dataclass
class DecodedWindow:
    """A row of `windows`, what was made of its trace, and the trace itself, compressed."""

    row: Row
    figures: WindowFigures | None
    trace: bytes | None
