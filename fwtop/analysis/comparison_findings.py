"""Findings that came, went and stayed between runs."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.analysis.comparison_model import ComparedFinding
from fwtop.analysis.finders.facts import SEVERITIES
from fwtop.analysis.summary_model import FindingSummary, Summary

STATUSES = ("came", "varies", "went", "stayed")
"""In the order in which they are shown."""


def compare_findings(summaries: Sequence[Summary]) -> tuple[ComparedFinding, ...]:
    """Each code once, with which runs have it."""
    found: dict[str, list[FindingSummary | None]] = {}
    for place, summary in enumerate(summaries):
        for finding in summary.findings:
            row = found.setdefault(finding.code, [None] * len(summaries))
            row[place] = row[place] or finding  # the gravest comes first
    compared = [_compared(row) for row in found.values()]
    return tuple(
        sorted(
            compared,
            key=lambda one: (STATUSES.index(one.status), SEVERITIES.index(one.severity)),
        )
    )


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
