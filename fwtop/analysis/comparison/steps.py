"""The step times of a comparison's sides: their statistics, and their changes."""

from __future__ import annotations

from collections.abc import Callable

from fwtop.analysis.comparison import repeats
from fwtop.analysis.comparison.bootstrap import quantile
from fwtop.analysis.comparison.facts import RunFacts, SideFacts, mean_of
from fwtop.analysis.comparison.model import Change, Interval, StepTimes
from fwtop.analysis.comparison.noise import repeated, sampled_change, tolerance, too_little
from fwtop.analysis.comparison.repeats import Measured
from fwtop.analysis.comparison.significance import Estimate, mann_whitney, t_quantile

SAME_SIZE = 0.01
"""Steps whose samples differ by less than this ratio are of one size."""

OfRun = Callable[[RunFacts], Measured | None]


def step_times(side: SideFacts) -> StepTimes:
    """What is known of a side's steps."""
    runs = side.runs
    steps = [run.facts.steps for run in runs]
    blocks = [run.resampled.blocks for run in runs]
    apart = [run.apart for run in runs]
    middle = repeats.of_one_side(_measured(side, _median))
    traced_count = sum(one.traced_count for one in apart)
    first_ns = mean_of(
        run.facts.first_step.duration_ns if run.facts.first_step else None for run in runs
    )
    return StepTimes(
        count=sum(one.count for one in steps),
        steady_count=sum(one.steady_count if one.steady else 0 for one in steps),
        sampled_count=sum(len(run.sample) for run in runs),
        blocks=sum(one.count for one in blocks),
        independent_blocks=round(sum(one.independent for one in blocks), 1),
        drifting=any(one.alike for one in blocks),
        mean_ns=mean_of(one.mean_ns for one in steps),
        median_ns=mean_of(quantile(run.durations, 0.5) for run in runs),
        p95_ns=mean_of(quantile(run.durations, 0.95) for run in runs),
        median_interval_ns=None if middle is None else _around(middle),
        first_ns=None if first_ns is None else round(first_ns),
        traced_count=traced_count,
        traced_mean_ns=sum(one.traced_ns for one in apart) / traced_count if traced_count else None,
        compiled_count=sum(one.compiled_count for one in apart),
        compiled_ns=sum(one.compiled_ns for one in apart),
    )


def step_change(one: SideFacts, two: SideFacts) -> Change | None:
    """The median step's change; None where a side has too few steps to tell."""
    return _change(one, two, _median, by_sample=False)


def sample_change(one: SideFacts, two: SideFacts) -> Change | None:
    """The same of the median step over the samples in it; None where these are not known."""
    return _change(one, two, _a_sample, by_sample=True)


def run_median(run: RunFacts) -> Estimate | None:
    """A run's median step in ns."""
    return run.resampled.quantile(0.5)


def time_a_sample(run: RunFacts) -> Estimate | None:
    """A run's median step over its mean samples, in ns."""
    middle, size = run_median(run), run.samples_per_step
    if middle is None or not size:
        return None
    return Estimate(middle.value / size, middle.error / size, middle.freedom)


def of_different_sizes(one: SideFacts, two: SideFacts) -> bool:
    """Whether the steps are known to be of different numbers of samples."""
    a, b = one.samples_per_step, two.samples_per_step
    return a is not None and b is not None and abs(b - a) > SAME_SIZE * a


def _change(one: SideFacts, two: SideFacts, of: OfRun, by_sample: bool) -> Change | None:
    before, after = _measured(one, of), _measured(two, of)
    both = repeats.estimates(before, after)
    if both is None:
        return None
    if not repeated(one, two):
        p_value: float | None = _rank_test(one.longest, two.longest, by_sample)
    elif repeats.ranked(len(before), len(after)):
        p_value = repeats.rank_test([run.value for run in before], [run.value for run in after])
    else:
        p_value = None
    return sampled_change(
        *both, tolerance(one, two, repeated(one, two)), p_value, too_little(one, two)
    )


def _measured(side: SideFacts, of: OfRun) -> list[Measured]:
    found = [of(run) for run in side.runs]
    return [one for one in found if one is not None]


def _median(run: RunFacts) -> Measured | None:
    middle = quantile(run.durations, 0.5)
    return None if middle is None else Measured(middle, run_median(run))


def _a_sample(run: RunFacts) -> Measured | None:
    middle, size = quantile(run.durations, 0.5), run.samples_per_step
    return None if middle is None or not size else Measured(middle / size, time_a_sample(run))


def _rank_test(one: RunFacts, two: RunFacts, by_sample: bool = False) -> float:
    """Of the blocks' medians, which unlike the steps are nearly independent."""
    a, b = one.resampled, two.resampled
    left, right = a.medians, b.medians
    if by_sample:
        left = [value / (one.samples_per_step or 1) for value in left]
        right = [value / (two.samples_per_step or 1) for value in right]
    return mann_whitney(left, right, min(1.0, a.blocks.worth, b.blocks.worth))


def _around(estimate: Estimate) -> Interval:
    half = t_quantile(estimate.freedom) * estimate.error
    return Interval(max(0.0, estimate.value - half), estimate.value + half)
