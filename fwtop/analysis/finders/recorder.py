"""What fwtop must say of itself: its cost, and what it lost."""

from __future__ import annotations

from collections.abc import Iterator

from fwtop.analysis.finders.facts import Facts, Finding
from fwtop.formatting import format_ratio, plural
from fwtop.recording.model import Governor

OVER_BUDGET = 1.5
"""Times the budget; a single window may pass it a little, and the governor then waits."""
ENOUGH_WINDOWS = 2


def is_over_budget(governor: Governor) -> bool:
    """Whether watching costs notably more than it may."""
    if governor.measured_ratio is None or governor.windows < ENOUGH_WINDOWS:
        return False
    return governor.measured_ratio > OVER_BUDGET * governor.budget_ratio


def overhead(facts: Facts) -> Iterator[Finding]:
    """Windows and hooks cost more than they may."""
    governor = facts.governor
    if governor is None or governor.measured_ratio is None or not is_over_budget(governor):
        return
    yield Finding(
        code="over_budget",
        severity="warning",
        why=f"Watching cost {format_ratio(governor.measured_ratio)} of the run time; the budget "
        f"is {format_ratio(governor.budget_ratio)}.",
        evidence={
            "measured_ratio": governor.measured_ratio,
            "budget_ratio": governor.budget_ratio,
            "cost_ns": governor.cost_ns,
            "hook_cost_ns": governor.hook_cost_ns,
            "windows": governor.windows,
        },
        next="--overhead 0 switches trace windows off; in a short run one window weighs much",
        cost_ratio=governor.measured_ratio,
    )


def losses(facts: Facts) -> Iterator[Finding]:
    """Messages were dropped, steps lost, windows failed."""
    dropped = sum(process.messages_dropped for process in facts.processes)
    lost = [notice for notice in facts.notices if notice.code == "steps_lost"]
    if dropped or lost:
        yield Finding(
            code="messages_dropped",
            severity="warning",
            why=(
                f"Probes dropped {plural(dropped, 'message')} rather than hold training up: "
                if dropped
                else "Steps were lost on the way: "
            )
            + "counts and sums are too low by what was in them."
            + (f" {_sentence(lost[0].text)}" if lost else ""),
            evidence={"messages_dropped": dropped, "stretches_lost": len(lost)},
            next="the recorder did not keep up, or was gone for a while: see recorder.log in the "
            "run's folder, and whether the disk is full",
        )
    if facts.failed_windows:
        said = [notice for notice in facts.notices if notice.code == "window_failed"]
        yield Finding(
            code="windows_failed",
            severity="info",
            why=f"{plural(facts.failed_windows, 'trace window')} failed"
            + (f": {_sentence(said[-1].text)}" if said else "."),
            evidence={"windows_failed": facts.failed_windows, "windows": len(facts.windows)},
            next="operators come from the other windows; `fwtop doctor` says which profiler works",
        )


def failed_hooks(facts: Facts) -> Iterator[Finding]:
    """A hook raised and was switched off."""
    failures = [notice for notice in facts.notices if notice.code == "probe_failure"]
    if not failures:
        return
    yield Finding(
        code="probe_failures",
        severity="warning",
        why=f"{plural(len(failures), 'hook')} failed and was switched off; the script went on. "
        f"{_sentence(failures[0].text)}",
        evidence={"probe_failures": len(failures)},
        next=failures[0].next or "what this hook sees is missing; please report it",
    )


def failed_parts(facts: Facts) -> Iterator[Finding]:
    """A sampler ended, or the process that holds the script's output stumbled."""
    for code in ("sampler_failed", "shim_failed"):
        said = [notice for notice in facts.notices if notice.code == code]
        if said:
            text = _sentence(said[-1].text)
            yield Finding(
                code=code,
                severity="warning",
                why=text[:1].upper() + text[1:],
                evidence={"notices": len(said)},
                next=said[-1].next,
            )


def _sentence(text: str) -> str:
    """A notice's text with one full stop."""
    return text.rstrip(". ") + "."
