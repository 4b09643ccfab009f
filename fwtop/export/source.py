"""What a format is given: the recording, the stretch of it, and whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from fwtop.formatting import UNKNOWN
from fwtop.queries import pages, run, steps
from fwtop.queries.pages import Paged
from fwtop.recording.model import Process, Run, Step
from fwtop.recording.store import Recording

Row = TypeVar("Row")

FLAGS = {"traced": 1, "compiled": 2, "skipped": 4, "after_gap": 8}
"""What a step's flags say, by bit: `STEP_*` of the probe's wire, as the recording keeps them."""

Tell = Callable[[str, int, int], None]
"""Called with what is being written, how much of it is done, and the whole: once a page."""


class ExportError(Exception):
    """An export that cannot be: `str()` says what failed and on what, `next` what to do."""

    def __init__(self, text: str, next: str = "") -> None:
        super().__init__(text)
        self.next = next


@dataclass(frozen=True)
class Stretch:
    """Times of the run, [start_ns, end_ns); None is open."""

    start_ns: int | None = None
    end_ns: int | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of the run."""
        return self.start_ns is None and self.end_ns is None

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """Whether something of [start_ns, end_ns), or its start, is in it."""
        began = self.start_ns is None or end_ns > self.start_ns or start_ns >= self.start_ns
        return began and (self.end_ns is None or start_ns < self.end_ns)


@dataclass
class Source:
    """A recording on its way out."""

    recording: Recording
    stretch: Stretch = field(default_factory=Stretch)
    tables: tuple[str, ...] = ()
    """The tables that were asked for by name; empty for all."""
    tell: Tell = lambda what, done, whole: None
    warn: Callable[[str], None] = lambda text: None
    """Called with what of the recording could not be exported, in words."""

    @cached_property
    def run(self) -> Run:
        """The run."""
        return run.get_run(self.recording)

    @cached_property
    def processes(self) -> list[Process]:
        """Its processes, by rank."""
        return run.processes(self.recording)

    @cached_property
    def lead(self) -> int | None:
        """Id of the lowest-rank process that has steps."""
        return steps.lead_process(self.recording)

    @cached_property
    def ranks(self) -> dict[int, int | None]:
        """Rank by process id."""
        return {process.id: process.rank for process in self.processes}

    def pages(self, table: Paged[Row], what: str) -> Iterator[list[Row]]:
        """The table's rows within the stretch, telling how far it is."""
        stretch = self.stretch
        whole = pages.count(self.recording, table, stretch.start_ns, stretch.end_ns)
        done = 0
        self.tell(what, done, whole)
        for page in pages.pages(self.recording, table, stretch.start_ns, stretch.end_ns):
            yield page
            done += len(page)
            self.tell(what, done, max(done, whole))

    def rows(self, table: Paged[Row], what: str) -> Iterator[Row]:
        """As `pages`, row by row."""
        for page in self.pages(table, what):
            yield from page


def named(process: Process | None) -> str:
    """A process in a word: `rank 3`, or `pid 4711` where it has no rank."""
    if process is None:
        return "unknown process"
    if process.rank is not None:
        return f"rank {process.rank}"
    return f"pid {UNKNOWN if process.pid is None else process.pid}"


def phases_in_order(step: Step) -> Iterator[tuple[str, int, int]]:
    """A step's known phases as (phase, start, end), one after the other from its start.

    Their lengths are measured, their places are not: a phase that came in pieces (gradient
    accumulation) is drawn as one.
    """
    at_ns = step.start_ns
    for phase, length_ns in (
        ("input", step.input_ns),
        ("h2d", step.h2d_ns),
        ("forward", step.forward_ns),
        ("backward", step.backward_ns),
        ("optimizer", step.optimizer_ns),
    ):
        length_ns = min(length_ns or 0, step.end_ns - at_ns)
        if length_ns > 0:
            yield phase, at_ns, at_ns + length_ns
            at_ns += length_ns
