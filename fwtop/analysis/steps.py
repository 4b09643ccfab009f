"""Step figures from sums and sketches: means, quantiles, phases, throughput.

Three sets of steps are kept apart, because one number for all of them is true of none:

- *set apart*: the first step of the process (warm-up: lazy initialisation, autotuning), steps that
  lay in a trace window (their time includes the profiler's), and steps in which a graph compiled;
- *steady*: the others. Means, quantiles and phases are theirs, wherever a view shows one figure;
- *all*: the count, and the time that the steps took.

Where every step is set apart (a run of one step, `--overhead 100%`), the figures are of all steps,
and `StepFigures.steady` says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fwtop.analysis.sketch import Sketch
from fwtop.recording.model import Step, StepRollup

PHASES = ("input", "h2d", "forward", "backward", "optimizer")
"""The phases that are measured; `other` is what they leave of a step."""


@dataclass(frozen=True)
class StepTotals:
    """Sums over some steps of one process. They add up: over buckets, ranks and nodes."""

    count: int = 0
    duration_sum_ns: int = 0
    phase_sums_ns: dict[str, int] = field(default_factory=dict)
    """By phase of `PHASES`; a phase that no step measured is absent."""
    samples_sum: int | None = None
    sketch: Sketch = field(default_factory=Sketch)
    """Of the durations."""

    @property
    def mean_ns(self) -> float | None:
        """Mean duration; None without steps."""
        return self.duration_sum_ns / self.count if self.count else None


@dataclass(frozen=True)
class StepFigures:
    """What is shown of the steps of one process."""

    count: int
    """All steps."""
    steady_count: int
    """Of those, how many the figures below are of."""
    steady: bool
    """False where no step is steady, and the figures are of all of them."""
    total_ns: int
    """Time in all steps."""
    set_apart_ns: int
    """Of that, time in steps that were traced, compiled or the first."""
    mean_ns: float | None
    median_ns: int | None
    p95_ns: int | None
    phases_ns: dict[str, float]
    """Mean by phase that was measured, in `PHASES`' order, then `other`. Empty without steps, and
    where no phase is known (a Keras step is one graph)."""
    steps_per_s: float | None
    """One over the mean."""
    samples_per_s: float | None


def figures(totals: StepTotals, set_apart: StepTotals) -> StepFigures:
    """Figures from the sums of all steps and of those set apart."""
    steady = minus(totals, set_apart)
    counted = steady if steady.count else totals
    mean_ns = counted.mean_ns
    samples_per_s = None
    if counted.samples_sum is not None and counted.duration_sum_ns:
        samples_per_s = counted.samples_sum / counted.duration_sum_ns * 1e9
    return StepFigures(
        count=totals.count,
        steady_count=counted.count,
        steady=bool(steady.count),
        total_ns=totals.duration_sum_ns,
        set_apart_ns=set_apart.duration_sum_ns,
        mean_ns=mean_ns,
        median_ns=counted.sketch.quantile(0.5),
        p95_ns=counted.sketch.quantile(0.95),
        phases_ns=_phase_means(counted),
        steps_per_s=1e9 / mean_ns if mean_ns else None,
        samples_per_s=samples_per_s,
    )


def of_steps(steps: Iterable[Step]) -> StepTotals:
    """The sums of single steps."""
    durations: list[int] = []
    sums: dict[str, int] = {}
    samples: int | None = None
    for step in steps:
        durations.append(step.duration_ns)
        for phase in PHASES:
            part: int | None = getattr(step, f"{phase}_ns")
            if part is not None:
                sums[phase] = sums.get(phase, 0) + part
        if step.samples is not None:
            samples = (samples or 0) + step.samples
    sketch = Sketch()
    sketch.add_many(durations)
    return StepTotals(len(durations), sum(durations), sums, samples, sketch)


def of_rollups(rollups: Iterable[StepRollup]) -> StepTotals:
    """The sums of buckets. Raises ValueError if a sketch is damaged."""
    count = duration = 0
    sums: dict[str, int] = {}
    samples: int | None = None
    sketch = Sketch()
    for rollup in rollups:
        count += rollup.count
        duration += rollup.duration_sum_ns
        for phase in PHASES:
            part: int | None = getattr(rollup, f"{phase}_sum_ns")
            if part is not None:
                sums[phase] = sums.get(phase, 0) + part
        if rollup.samples_sum is not None:
            samples = (samples or 0) + rollup.samples_sum
        sketch.merge(Sketch.from_bytes(rollup.sketch))
    return StepTotals(count, duration, sums, samples, sketch)


def plus(one: StepTotals, two: StepTotals) -> StepTotals:
    """The sums of both."""
    sketch = Sketch()
    sketch.merge(one.sketch)
    sketch.merge(two.sketch)
    return StepTotals(
        count=one.count + two.count,
        duration_sum_ns=one.duration_sum_ns + two.duration_sum_ns,
        phase_sums_ns={
            phase: one.phase_sums_ns.get(phase, 0) + two.phase_sums_ns.get(phase, 0)
            for phase in PHASES
            if phase in one.phase_sums_ns or phase in two.phase_sums_ns
        },
        samples_sum=_sum(one.samples_sum, two.samples_sum),
        sketch=sketch,
    )


def minus(whole: StepTotals, part: StepTotals) -> StepTotals:
    """The sums of the steps that are in `whole` and not in `part`, which must be within it."""
    sketch = Sketch()
    sketch.merge(whole.sketch)
    sketch.subtract(part.sketch)
    samples = whole.samples_sum
    if samples is not None:
        samples = max(0, samples - (part.samples_sum or 0))
    return StepTotals(
        count=max(0, whole.count - part.count),
        duration_sum_ns=max(0, whole.duration_sum_ns - part.duration_sum_ns),
        phase_sums_ns={
            phase: max(0, total - part.phase_sums_ns.get(phase, 0))
            for phase, total in whole.phase_sums_ns.items()
        },
        samples_sum=samples,
        sketch=sketch,
    )


def _phase_means(totals: StepTotals) -> dict[str, float]:
    """Mean by phase over all steps: a step in which a phase did not occur counts as 0 of it."""
    if not totals.count:
        return {}
    means = {
        phase: totals.phase_sums_ns[phase] / totals.count
        for phase in PHASES
        if phase in totals.phase_sums_ns
    }
    mean_ns = totals.duration_sum_ns / totals.count
    if means:  # of a step without a known phase nothing is known, not even what is left
        means["other"] = max(0.0, mean_ns - sum(means.values()))
    return means


def _sum(one: int | None, two: int | None) -> int | None:
    if one is None or two is None:
        return one if two is None else two
    return one + two
