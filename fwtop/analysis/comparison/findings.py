"""Findings that came, went and stayed between runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fwtop.analysis.comparison.model import ComparedFinding
from fwtop.analysis.finders.facts import SEVERITIES
from fwtop.analysis.summary_model import FindingSummary, Summary

STATUSES = ("came", "varies", "went", "stayed")
"""In the order in which they are shown."""


def compare_findings(sides: Sequence[Sequence[Summary]]) -> tuple[ComparedFinding, ...]:
    """Each code once, with which sides have it: those of which most runs do, if several were run.

    Half of the runs is not most: what comes and goes between repeats is not the side's.
    """
    found: dict[str, list[FindingSummary | None]] = {}
    for place, summaries in enumerate(sides):
        for code, (finding, count) in _of_side(summaries).items():
            if 2 * count > len(summaries):
                found.setdefault(code, [None] * len(sides))[place] = finding
    compared = [_compared(row) for row in found.values()]
    return tuple(
        sorted(
            compared,
            key=lambda one: (STATUSES.index(one.status), SEVERITIES.index(one.severity)),
        )
    )


def _of_side(summaries: Sequence[Summary]) -> dict[str, tuple[FindingSummary, int]]:
    """By code: the finding in the first run that has it, and how many runs do."""
    found: dict[str, tuple[FindingSummary, int]] = {}
    for summary in summaries:
        own: dict[str, FindingSummary] = {}
        for finding in summary.findings:
            own.setdefault(finding.code, finding)  # the gravest comes first
        for code, finding in own.items():
            known, count = found.get(code, (finding, 0))
            found[code] = known, count + 1
    several = len(summaries) > 1
    return {
        code: (_in_repeats(finding, count, len(summaries)) if several else finding, count)
        for code, (finding, count) in found.items()
    }


def _in_repeats(finding: FindingSummary, count: int, runs: int) -> FindingSummary:
    return replace(finding, why=f"in {count} of {runs} runs: {finding.why}")


def _compared(row: Sequence[FindingSummary | None]) -> ComparedFinding:
    there = [finding for finding in row if finding is not None]
    gravest = min(there, key=lambda finding: SEVERITIES.index(finding.severity))
    return ComparedFinding(
        code=gravest.code,
        severity=gravest.severity,
        status=_status([finding is not None for finding in row]),
        whys=tuple(finding.why if finding is not None else None for finding in row),
        next=gravest.next,
    )


def _status(has: Sequence[bool]) -> str:
    baseline, others = has[0], has[1:]
    if all(others):
        return "stayed" if baseline else "came"
    return "varies" if any(others) else "went"
