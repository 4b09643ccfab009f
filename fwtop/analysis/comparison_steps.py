"""The step times of several runs: their statistics, and the verdict in words."""

from __future__ import annotations

from fwtop.analysis.bootstrap import FEWEST_BLOCKS, quantile
from fwtop.analysis.comparison_facts import RunFacts
from fwtop.analysis.comparison_model import Change, Interval, StepTimes, Verdict
from fwtop.analysis.comparison_noise import Tolerance, sampled_change, tolerance
from fwtop.analysis.significance import LEVEL, Estimate, mann_whitney, t_quantile
from fwtop.formatting import format_count, format_ratio, plural

SAME_SIZE = 0.01
"""Steps whose samples differ by less than this ratio are of one size."""
MANY_TIMES = 2.0
"""From here a difference reads better as a multiple."""


def step_times(run: RunFacts) -> StepTimes:
    """What is known of a run's steps."""
    steps, blocks = run.facts.steps, run.resampled.blocks
    first, apart = run.facts.first_step, run.apart
    middle = run.resampled.quantile(0.5)
    return StepTimes(
        count=steps.count,
        steady_count=steps.steady_count if steps.steady else 0,
        sampled_count=len(run.sample),
        blocks=blocks.count,
        independent_blocks=round(blocks.independent, 1),
        drifting=blocks.alike,
        mean_ns=steps.mean_ns,
        median_ns=quantile(run.durations, 0.5),
        p95_ns=quantile(run.durations, 0.95),
        median_interval_ns=None if middle is None else _around(middle),
        first_ns=first.duration_ns if first else None,
        traced_count=apart.traced_count,
        traced_mean_ns=apart.traced_ns / apart.traced_count if apart.traced_count else None,
        compiled_count=apart.compiled_count,
        compiled_ns=apart.compiled_ns,
    )


def step_change(one: RunFacts, two: RunFacts) -> Change | None:
    """The median step's change; None where a run has too few steps to tell."""
    before, after = run_median(one), run_median(two)
    if before is None or after is None:
        return None
    return sampled_change(before, after, tolerance(one, two), _rank_test(one, two))


def sample_change(one: RunFacts, two: RunFacts) -> Change | None:
    """The same of the median step over the samples in it; None where these are not known."""
    before, after = time_a_sample(one), time_a_sample(two)
    if before is None or after is None:
        return None
    return sampled_change(before, after, tolerance(one, two), _rank_test(one, two, by_sample=True))


def run_median(run: RunFacts) -> Estimate | None:
    """A run's median step in ns."""
    return run.resampled.quantile(0.5)


def time_a_sample(run: RunFacts) -> Estimate | None:
    """A run's median step over its mean samples, in ns."""
    middle, size = run_median(run), run.samples_per_step
    if middle is None or not size:
        return None
    return Estimate(middle.value / size, middle.error / size, middle.freedom)


def verdict(one: RunFacts, two: RunFacts, names: tuple[str, str], mean: Change | None) -> Verdict:
    """Whether `two` is slower than the baseline `one`; `mean` is the mean step's change."""
    by_sample = of_different_sizes(one, two)
    change = sample_change(one, two) if by_sample else step_change(one, two)
    per = "sample" if by_sample else "step"
    if change is None or change.ratio is None:
        return Verdict("unknown", per, None, None, None, f"unknown: {_missing(one, two, names)}")
    tolerated = tolerance(one, two)
    if change.noise:
        direction, text = "noise", _noise_text(change, tolerated, names, one, two)
    else:
        direction = "slower" if change.ratio > 0 else "faster"
        text = _difference_text(change, direction, names, per)
        if tolerated.contended(change.ratio):
            text += f"; {_contention(one, two, names)}"
    if by_sample:
        text += (
            f"; by the sample, as a step has {one.samples_per_step:.4g} in {names[0]} and "
            f"{two.samples_per_step:.4g} in {names[1]}"
        )
    elif mean is not None and mean.noise is False and mean.ratio is not None and change.noise:
        text += (
            f"; the mean step is {percent(mean.ratio)} {'longer' if mean.ratio > 0 else 'shorter'} "
            f"({interval_text(mean.interval)}): some of the steps changed"
        )
    return Verdict(direction, per, change.ratio, change.interval, change.p_value, text)


def of_different_sizes(one: RunFacts, two: RunFacts) -> bool:
    """Whether the steps are known to be of different numbers of samples."""
    a, b = one.samples_per_step, two.samples_per_step
    return a is not None and b is not None and abs(b - a) > SAME_SIZE * a


def percent(ratio: float) -> str:
    """A ratio's size as `4.1 %`, `0.62 %`, `120 %`."""
    size = abs(ratio) * 100
    digits = 0 if size >= 99.5 else 1 if size >= 0.95 else 2
    return f"{size:,.{digits}f} %"


def signed_percent(ratio: float) -> str:
    """`+4.1 %`, `-0.62 %`, `0 %`."""
    return "0 %" if ratio == 0 else f"{'+' if ratio > 0 else '-'}{percent(ratio)}"


def _difference_text(change: Change, direction: str, names: tuple[str, str], per: str) -> str:
    ratio = change.ratio or 0.0
    within = change.interval
    if ratio + 1 >= MANY_TIMES:
        told = "" if within is None else f" (95 % CI {within.low + 1:.2f} to {within.high + 1:.2f})"
        return f"{names[1]} is slower: a {per} takes {ratio + 1:.2f} times as long{told}"
    if direction == "slower":
        return f"{names[1]} is {percent(ratio)} slower than {names[0]} ({interval_text(within)})"
    turned = None if within is None else Interval(-within.high, -within.low)
    return (
        f"{names[1]} is faster than {names[0]}: a {per} takes {percent(ratio)} less time "
        f"({interval_text(turned)})"
    )


def _noise_text(
    change: Change, tolerated: Tolerance, names: tuple[str, str], one: RunFacts, two: RunFacts
) -> str:
    ratio, within = change.ratio or 0.0, change.interval
    said = f"noise: the difference of {signed_percent(ratio)}"
    blocks = " and ".join(f"{run.resampled.blocks.independent:.0f}" for run in (one, two))
    if within is None or within.low <= 0 <= within.high:
        return (
            f"{said} lies within what the steps vary by anyway ({interval_text(within)}; "
            f"{blocks} independent blocks of steps)"
        )
    if tolerated.holds(ratio):
        if tolerated.contended(ratio):
            return f"{said} may be other programs' doing: {_contention(one, two, names)}"
        return f"{said} is below the 1 % by which runs of one program differ"
    return (
        f"{said} does not stand a rank test (p = {change.p_value or 0:.2f}, {LEVEL:g} is needed; "
        f"{blocks} independent blocks of steps)"
    )


def _contention(one: RunFacts, two: RunFacts, names: tuple[str, str]) -> str:
    return (
        "other programs held the host's cores "
        f"({format_ratio(one.contention_ratio)} of them in {names[0]}, "
        f"{format_ratio(two.contention_ratio)} in {names[1]}): repeat it on a quiet machine"
    )


def _missing(one: RunFacts, two: RunFacts, names: tuple[str, str]) -> str:
    for run, name in ((one, names[0]), (two, names[1])):
        if len(run.sample) < FEWEST_BLOCKS:
            count = run.facts.steps.count
            of = f" of {format_count(count)}" if count else ""
            which = "steady step" if run.facts.steps.steady else "step"
            return (
                f"{name} has {plural(len(run.sample), which)}{of} to compare, and "
                f"{FEWEST_BLOCKS} are the fewest that tell"
            )
    return "the median step of one run is 0"


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


def interval_text(within: Interval | None) -> str:
    """`95 % CI -1.2 to 4.1 %`."""
    if within is None:
        return "no interval"
    return f"95 % CI {_signed(within.low).removesuffix(' %')} to {_signed(within.high)}"


def _signed(ratio: float) -> str:
    """With a sign only below 0."""
    return ("-" if ratio < 0 else "") + percent(ratio)
