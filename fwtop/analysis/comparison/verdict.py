"""Whether a side is slower or faster than the baseline, in words; and what the intervals cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fwtop.analysis.comparison import repeats
from fwtop.analysis.comparison.bootstrap import FEWEST_BLOCKS
from fwtop.analysis.comparison.facts import SideFacts
from fwtop.analysis.comparison.model import Change, Interval, Verdict
from fwtop.analysis.comparison.noise import (
    DRIFTING,
    FEW_RUNS,
    FEWEST_INDEPENDENT,
    Tolerance,
    repeated,
    tolerance,
)
from fwtop.analysis.comparison.significance import LEVEL
from fwtop.analysis.comparison.steps import of_different_sizes, sample_change, step_change
from fwtop.analysis.comparison.words import interval_text, percent, signed_percent
from fwtop.formatting import format_count, format_duration, format_ratio, plural
from fwtop.recording.model import PHASES

MANY_TIMES = 2.0
"""From here a difference reads better as a multiple."""


def verdict(
    one: SideFacts, two: SideFacts, names: tuple[str, str], changes: Mapping[str, Change | None]
) -> Verdict:
    """Whether `two` is slower than the baseline `one`; `changes` are the figures', by metric."""
    by_sample = of_different_sizes(one, two)
    change = sample_change(one, two) if by_sample else step_change(one, two)
    per = "sample" if by_sample else "step"
    if change is None or change.ratio is None:
        return Verdict("unknown", per, None, None, None, f"unknown: {_missing(one, two, names)}",
                       None)  # fmt: skip
    tolerated = tolerance(one, two, repeated(one, two))
    if change.noise is None:
        direction, text = "unknown", _unknown_text(change, names, one, two)
    elif change.noise:
        direction, text = "noise", _noise_text(change, tolerated, names, one, two)
    else:
        direction = "slower" if change.ratio > 0 else "faster"
        text = _difference_text(change, direction, names, per)
        if tolerated.contended(change.ratio):
            text += f"; other programs {_contention(one, two, names)}"
    if by_sample:
        text += (
            f"; by the sample, as a step has {one.samples_per_step:.4g} in {names[0]} and "
            f"{two.samples_per_step:.4g} in {names[1]}"
        )
    elif change.noise is not False:
        text += _nevertheless(changes)
    covers = None
    if change.interval is not None:
        covers = "between_runs" if repeated(one, two) else "within_runs"
    return Verdict(direction, per, change.ratio, change.interval, change.p_value, text, covers)


def coverage(sides: Sequence[SideFacts], names: Sequence[str]) -> str:
    """What the comparison's intervals cover."""
    if all(side.stepped <= 1 for side in sides):
        return (
            "one run a side: the interval covers the spread within the runs only; "
            "repeats (--vs) tell the spread between runs"
        )
    counts = ", ".join(
        name if len(side.runs) > 1 else f"{name} ×1"
        for side, name in zip(sides, names, strict=True)
    )
    text = f"the interval covers the spread between runs: {counts}"
    if sides[0].stepped <= 1 and any(side.stepped <= 1 for side in sides[1:]):
        return f"{text}; of two single runs, the spread within them only"
    if any(side.stepped <= 1 for side in sides):
        return f"{text}; a single run is taken to vary as the other side's repeats do"
    return text


def _nevertheless(changes: Mapping[str, Change | None]) -> str:
    """What did change for sure, where the median step did not."""
    mean = changes.get("step_time.mean")
    if mean is not None and mean.noise is False and mean.ratio is not None:
        return (
            f"; the mean step is {percent(mean.ratio)} {'longer' if mean.ratio > 0 else 'shorter'} "
            f"({interval_text(mean.interval)}): some of the steps changed"
        )
    sure = {
        phase: change.delta
        for phase in PHASES
        if (change := changes.get(f"phase[{phase}]")) is not None and change.noise is False
    }
    if not sure:
        return ""
    most = max(sure, key=lambda phase: abs(sure[phase]))
    size = format_duration(abs(sure[most]))
    return f"; but {most} takes {size} {'more' if sure[most] > 0 else 'less'} a step for sure"


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
    change: Change, tolerated: Tolerance, names: tuple[str, str], one: SideFacts, two: SideFacts
) -> str:
    ratio, within = change.ratio or 0.0, change.interval
    said = f"noise: the difference of {signed_percent(ratio)}"
    several = repeated(one, two)
    basis = _basis(one, two)
    if within is None or within.low <= 0 <= within.high:
        vary = "the runs differ by" if several else "the steps vary by"
        return f"{said} lies within what {vary} anyway ({interval_text(within)}; {basis})"
    if tolerated.holds(ratio):
        if tolerated.contended(ratio):
            return f"{said} may be other programs' doing: they {_contention(one, two, names)}"
        return f"{said} is below the 1 % by which runs of one program differ"
    return (
        f"{said} does not stand a {'rank ' if _is_ranked(one, two) else 't '}test "
        f"(p = {change.p_value or 0:.2f}, {LEVEL:g} is needed; {basis})"
    )


def _unknown_text(change: Change, names: tuple[str, str], one: SideFacts, two: SideFacts) -> str:
    """The measured difference, and why it can neither stand nor be called noise."""
    measured = f"{signed_percent(change.ratio or 0.0)} measured"
    if change.interval is not None:
        measured += f" ({interval_text(change.interval)})"
    if change.unsure == FEW_RUNS:
        count = one.stepped + two.stepped
        return (
            f"unknown: too few runs to tell: {measured} in {count}, and {repeats.FEWEST_RUNS} are "
            "the fewest that could call it noise"
        )
    side, name = min(zip((one, two), names, strict=True), key=lambda pair:
                     pair[0].independent_blocks)  # fmt: skip
    blocks = f"{side.independent_blocks:.1f} independent blocks"
    needed = f"{FEWEST_INDEPENDENT} are the fewest that could call it noise"
    if change.unsure == DRIFTING:
        return (
            f"unknown: {measured}, but {name}'s step time drifts: its steps are worth {blocks}, "
            f"and {needed}"
        )
    steps = plural(len(side.longest.sample), "step")
    return (
        f"unknown: too few steps to tell: {measured}; {name}'s {steps} are worth {blocks}, "
        f"and {needed}"
    )


def _basis(one: SideFacts, two: SideFacts) -> str:
    """How much the two sides were looked at."""
    if repeated(one, two):
        return f"{one.stepped} and {plural(two.stepped, 'run')}"
    blocks = " and ".join(f"{side.independent_blocks:.0f}" for side in (one, two))
    return f"{blocks} independent blocks of steps"


def _is_ranked(one: SideFacts, two: SideFacts) -> bool:
    return not repeated(one, two) or repeats.ranked(one.stepped, two.stepped)


def _contention(one: SideFacts, two: SideFacts, names: tuple[str, str]) -> str:
    return (
        f"held {format_ratio(one.contention_ratio)} of the cores in {names[0]} and "
        f"{format_ratio(two.contention_ratio)} in {names[1]}; repeat it on a quiet machine"
    )


def _missing(one: SideFacts, two: SideFacts, names: tuple[str, str]) -> str:
    for side, name in ((one, names[0]), (two, names[1])):
        run = side.longest
        if len(run.sample) < FEWEST_BLOCKS:
            count = run.facts.steps.count
            of = f" of {format_count(count)}" if count else ""
            which = "steady step" if run.facts.steps.steady else "step"
            return (
                f"too few steps to tell: {name} has {plural(len(run.sample), which)}{of} to "
                f"compare, and {FEWEST_BLOCKS} are the fewest"
            )
    return "the median step of one run is 0"
