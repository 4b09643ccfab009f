"""What a comparison needs of a run, and of a side: one run, or several of the same program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from fwtop.analysis.comparison.bootstrap import Resampled, cut
from fwtop.analysis.finders.facts import Facts
from fwtop.analysis.steps import PHASES
from fwtop.analysis.summary_model import Summary
from fwtop.recording.model import Step


@dataclass(frozen=True, slots=True)
class ApartSums:
    """Steps after the first that are no guide to the others."""

    traced_count: int = 0
    """In a trace window, and nothing compiled."""
    traced_ns: int = 0
    compiled_count: int = 0
    compiled_ns: int = 0


@dataclass(frozen=True, slots=True)
class WorkSums:
    """An operator, kernel or family over some windows, and those of them that tell the spread."""

    name: str
    """Of a family: its own."""
    family: str
    device: str
    calls: int
    self_ns: int
    total_ns: int | None
    rate_sum: float
    """Sum over the windows that tell the spread of self time a step in ns."""
    rate_square_sum: float


@dataclass(frozen=True, slots=True)
class DetailSums:
    """A shape, module or source line of an operator over deep windows."""

    name: str
    kind: str
    value: str
    calls: int
    self_ns: int
    total_ns: int


@dataclass(frozen=True)
class TracedWork:
    """What the trace windows of a run hold."""

    windows: int = 0
    spread_windows: int = 0
    """Of those, how many tell how far their figures are apart."""
    steps: int = 0
    """In the windows: what to divide sums by."""
    deep_steps: int = 0
    operators: tuple[WorkSums, ...] = ()
    families: tuple[WorkSums, ...] = ()
    kernels: tuple[WorkSums, ...] = ()
    kernel_families: tuple[WorkSums, ...] = ()
    details: tuple[DetailSums, ...] = ()


@dataclass(frozen=True)
class RunFacts:
    """A run, as far as a comparison needs it."""

    path: str
    facts: Facts
    summary: Summary
    sample: tuple[Step, ...]
    """Steady steps of the lead process in their order, evenly spread; all where they are few."""
    apart: ApartSums
    work: TracedWork
    peak_rss_bytes: int | None
    contention_ratio: float | None
    """Of the host's cores, what other programs held while no core was idle, over the run's time."""

    @cached_property
    def durations(self) -> list[float]:
        """Of the sample, in ns."""
        return [float(step.duration_ns) for step in self.sample]

    @cached_property
    def resampled(self) -> Resampled:
        """The sample's blocks and their resamples."""
        return Resampled(self.durations, cut(self.durations))

    @cached_property
    def samples_per_step(self) -> float | None:
        """Mean over the sampled steps that tell."""
        told = [step.samples for step in self.sample if step.samples is not None]
        return sum(told) / len(told) if told and sum(told) > 0 else None

    def phase(self, name: str) -> list[float]:
        """A phase of each sampled step in ns; what a step did not measure counts as 0 of it."""
        if name == "other":
            return [float(step.other_ns) for step in self.sample]
        assert name in PHASES
        return [float(getattr(step, f"{name}_ns") or 0) for step in self.sample]


@dataclass(frozen=True)
class SideFacts:
    """One side of a comparison: a run, or repeats of it."""

    runs: tuple[RunFacts, ...]
    """At least one."""

    @property
    def first(self) -> RunFacts:
        """The run that the side is described by."""
        return self.runs[0]

    @cached_property
    def contention_ratio(self) -> float | None:
        """The mean over the runs that tell."""
        return mean_of([run.contention_ratio for run in self.runs])

    @cached_property
    def samples_per_step(self) -> float | None:
        """The mean over the runs that tell."""
        return mean_of([run.samples_per_step for run in self.runs])

    @property
    def works(self) -> tuple[TracedWork, ...]:
        """Of the runs that have trace windows."""
        return tuple(run.work for run in self.runs if run.work.steps)

    @cached_property
    def stepped(self) -> int:
        """How many of the runs have steps to compare: what tells of the spread between runs."""
        return sum(bool(run.sample) for run in self.runs)

    @cached_property
    def longest(self) -> RunFacts:
        """The run with most steps to compare; where one alone has any, that one."""
        return max(self.runs, key=lambda run: len(run.sample))

    @property
    def independent_blocks(self) -> float:
        """Of the longest run."""
        return self.longest.resampled.blocks.independent


def mean_of(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None without any."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
