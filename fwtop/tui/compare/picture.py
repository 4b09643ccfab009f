"""What the screens draw: a comparison with the steps that its plots are of, read at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from fwtop.analysis.comparison.model import Comparison
from fwtop.comparison import compare
from fwtop.formatting import ellipsis_start, printable
from fwtop.queries.comparison import sampled_steps
from fwtop.queries.steps import lead_process
from fwtop.recording.store import Recording, open_recording

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Source:
    """Where a side's run is read from."""

    path: Path
    known_as: str | None = None
    """What it is called, if not by its own name or its file's."""
    repeats: tuple[Source, ...] = ()
    """The other runs of the same side."""

    @property
    def runs(self) -> tuple[Source, ...]:
        """This one and its repeats."""
        return (self, *self.repeats)


def by_side(sources: Sequence[Source], counts: Sequence[int]) -> tuple[Source, ...]:
    """Runs in the order of their sides, as many of each as `counts` says."""
    left = iter(sources)
    sides = [tuple(islice(left, count)) for count in counts]
    return tuple(replace(first, repeats=tuple(more)) for first, *more in sides)


@dataclass(frozen=True)
class Picture:
    """One comparison; `comparing` while another one is on its way."""

    sources: tuple[Source, ...]
    comparison: Comparison | None = None
    durations_ns: tuple[tuple[int, ...], ...] = ()
    """By side, of the steady steps that its statistics are of, sorted; of all its repeats."""
    comparing: bool = True
    failure: str = ""
    """Why there is no comparison."""

    @property
    def names(self) -> tuple[str, ...]:
        """Letter and label of each side."""
        if self.comparison is None:
            labels = [_known_as(one) for one in self.sources]
        else:
            labels = [run.label for run in self.comparison.runs]
        return tuple(f"{LETTERS[at]} {label}" for at, label in enumerate(labels))


def head(name: str, cells: int) -> str:
    """A side's letter and, where its label has no room, the end of that: runs' names mostly differ
    there."""
    letter, _, label = name.partition(" ")
    return f"{letter} {ellipsis_start(printable(label), max(1, cells - 2))}"


def load(sources: Sequence[Source]) -> Picture:
    """Read and compare. Raises RecordingError for what is missing or damaged."""
    runs = [run for source in sources for run in source.runs]
    counts = [len(source.runs) for source in sources]
    with ExitStack() as stack:
        recordings = [stack.enter_context(open_recording(run.path)) for run in runs]
        comparison = compare(recordings, [run.known_as for run in runs], counts)
        durations = iter([_durations_ns(recording) for recording in recordings])
        sides = tuple(
            tuple(sorted(chain.from_iterable(islice(durations, count)))) for count in counts
        )
    return Picture(tuple(sources), comparison, sides, comparing=False)


def _durations_ns(recording: Recording) -> list[int]:
    return [step.duration_ns for step in sampled_steps(recording, lead_process(recording))]


def _known_as(source: Source) -> str:
    name = source.known_as or source.path.name.removesuffix(".fwtop")
    return f"{name} +{len(source.repeats)}" if source.repeats else name
