"""What the steps' own times tell: copies, a slow start, uneven steps."""

from __future__ import annotations

from collections.abc import Iterator

from fwtop.analysis.finders.facts import Facts, Finding
from fwtop.formatting import format_duration, format_ratio, plural

INPUT_SHARE = 0.15
H2D_SHARE = 0.10
OTHER_SHARE = 0.30
FEW_STEPS = 10
"""Below this a mean says little."""
SLOW_FIRST_FACTOR = 20
SLOW_FIRST_NS = 2_000_000_000
UNEVEN_FACTOR = 1.5
LONG_WITHOUT_STEPS_NS = 60_000_000_000


def copies(facts: Facts) -> Iterator[Finding]:
    """Copies to the device hold the step up."""
    share = phase_share(facts, "h2d")
    if share is None or share <= H2D_SHARE:
        return
    yield Finding(
        code="copy_bound",
        severity="warning",
        why=f"Copies to the device take {format_duration(facts.steps.phases_ns['h2d'])} of a "
        f"{format_duration(facts.steps.mean_ns)} step ({format_ratio(share)}).",
        evidence={
            "h2d_ns": facts.steps.phases_ns["h2d"],
            "step_ns": facts.steps.mean_ns,
            "h2d_ratio": share,
        },
        next="DataLoader(pin_memory=True) and .to(device, non_blocking=True); send smaller types "
        "(uint8, bfloat16) and convert them on the device",
        cost_ratio=share,
    )


def outside_phases(facts: Facts) -> Iterator[Finding]:
    """Much of the step is in none of the known phases: logging, metrics, checkpoints."""
    share = phase_share(facts, "other")
    phases = facts.steps.phases_ns
    if share is None or share <= OTHER_SHARE or not {"forward", "backward"} <= phases.keys():
        return
    yield Finding(
        code="time_outside_phases",
        severity="info",
        why=f"{format_duration(phases['other'])} of a {format_duration(facts.steps.mean_ns)} step "
        f"({format_ratio(share)}) lie outside input, forward, backward and optimizer.",
        evidence={
            "other_ns": phases["other"],
            "step_ns": facts.steps.mean_ns,
            "other_ratio": share,
        },
        next="look between the optimizer step and the next batch: metrics, .item(), logging, "
        "checkpoints; do them every n steps",
        cost_ratio=share,
    )


def slow_first_step(facts: Facts) -> Iterator[Finding]:
    """The first step took many times a usual one."""
    first, median_ns = facts.first_step, facts.steps.median_ns
    if first is None or not median_ns or facts.steps.steady_count < FEW_STEPS:
        return
    if first.duration_ns < max(SLOW_FIRST_NS, SLOW_FIRST_FACTOR * median_ns):
        return
    yield Finding(
        code="slow_first_step",
        severity="info",
        why=f"The first step took {format_duration(first.duration_ns)}, a usual one takes "
        f"{format_duration(median_ns)}. It is left out of the means.",
        evidence={"first_step_ns": first.duration_ns, "median_ns": median_ns},
        next="initialisation, autotuning and compiling happen once: leave the first steps out of "
        "your own timings too",
        cost_ratio=first.duration_ns / facts.duration_ns if facts.duration_ns else 0.0,
    )


def uneven_steps(facts: Facts) -> Iterator[Finding]:
    """One step in twenty takes much longer than the median."""
    median_ns, p95_ns = facts.steps.median_ns, facts.steps.p95_ns
    if not median_ns or p95_ns is None or facts.steps.steady_count < 10 * FEW_STEPS:
        return
    if p95_ns < UNEVEN_FACTOR * median_ns:
        return
    yield Finding(
        code="uneven_steps",
        severity="info",
        why=f"Of {plural(facts.steps.steady_count, 'step')}, one in twenty takes "
        f"{format_duration(p95_ns)} or more; the median is {format_duration(median_ns)}.",
        evidence={"p95_ns": p95_ns, "median_ns": median_ns, "steps": facts.steps.steady_count},
        next="put the cursor on a spike to see what ran then: input, a compile, a checkpoint, "
        "another process",
        cost_ratio=0.05 * (p95_ns / median_ns - 1),
    )


def no_steps(facts: Facts) -> Iterator[Finding]:
    """A framework is there, time goes by, and no step was seen."""
    if facts.steps.count or facts.duration_ns < LONG_WITHOUT_STEPS_NS or not facts.processes:
        return
    yield Finding(
        code="no_steps",
        severity="warning",
        why=f"No step was seen in {format_duration(facts.duration_ns)}.",
        evidence={"duration_ns": facts.duration_ns, "processes": len(facts.processes)},
        next="say what a step is: --step-on forward, or --step-on call:package.module:function",
    )


def phase_share(facts: Facts, phase: str) -> float | None:
    """A phase's share of the mean step; None where it is unknown or of too few steps."""
    part_ns, mean_ns = facts.steps.phases_ns.get(phase), facts.steps.mean_ns
    if part_ns is None or not mean_ns or facts.steps.steady_count < FEW_STEPS:
        return None
    return part_ns / mean_ns
