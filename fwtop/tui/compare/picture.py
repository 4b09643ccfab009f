"""What the screens draw: a comparison with the steps that its plots are of, read at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fwtop.analysis.comparison_model import Comparison
from fwtop.comparison import compare
from fwtop.queries.comparison import sampled_steps
from fwtop.queries.steps import lead_process
from fwtop.recording.store import open_recording

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Source:
    """Where a run is read from."""

    path: Path
    known_as: str | None = None
    """What it is called, if not by its own name or its file's."""


@dataclass(frozen=True)
class Picture:
    """One comparison; `comparing` while another one is on its way."""

    sources: tuple[Source, ...]
    comparison: Comparison | None = None
    durations_ns: tuple[tuple[int, ...], ...] = ()
    """By run, of the steady steps that its statistics are of, sorted."""
    comparing: bool = True
    failure: str = ""
    """Why there is no comparison."""

    @property
    def names(self) -> tuple[str, ...]:
        """Letter and label of each run."""
        if self.comparison is None:
            labels = [one.known_as or one.path.name.removesuffix(".fwtop") for one in self.sources]
        else:
            labels = [run.label for run in self.comparison.runs]
        return tuple(f"{LETTERS[at]} {label}" for at, label in enumerate(labels))


def load(sources: Sequence[Source]) -> Picture:
    """Read and compare. Raises RecordingError for what is missing or damaged."""
    with ExitStack() as stack:
        recordings = [stack.enter_context(open_recording(one.path)) for one in sources]
        comparison = compare(recordings, [one.known_as for one in sources])
        durations = tuple(
            tuple(sorted(step.duration_ns for step in sampled_steps(one, lead_process(one))))
            for one in recordings
        )
    return Picture(tuple(sources), comparison, durations, comparing=False)
