"""Comparisons of synthetic recordings, and where to find a figure or an operator in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from fwtop.analysis.comparison.model import (
    SECTIONS,
    UNITS,
    ComparedFigure,
    ComparedOperator,
    Comparison,
)
from fwtop.comparison import compare
from fwtop.recording.store import open_recording
from tests.recordings import build


def compared(*paths: Path) -> Comparison:
    recordings = [open_recording(path) for path in paths]
    try:
        return compare(recordings)
    finally:
        for recording in recordings:
            recording.close()


def pair(folder: Path, **changes: Any) -> Comparison:
    """A run against the same with changes, and another seed."""
    one = build(folder / "before.fwtop", steps=600, windows=8)
    two = build(folder / "after.fwtop", **{"steps": 600, "windows": 8, "seed": 8, **changes})
    return compared(one, two)


def figure(comparison: Comparison, metric: str) -> ComparedFigure:
    return next(row for row in comparison.figures if row.metric == metric)


def operator(comparison: Comparison, name: str, device: str = "gpu") -> ComparedOperator:
    return next(
        row
        for family in comparison.families
        for row in family.operators
        if (row.name, row.device) == (name, device)
    )


def contended(path: Path, others: float) -> Path:
    """The same run with other programs on all cores."""
    with sqlite3.connect(path) as db:
        db.execute(
            "UPDATE host_samples SET cpu_ratio = 0.99, recorder_cpu_ratio = 0,"
            " run_cpu_ratio = ? * length(core_ratios)",
            (0.99 - others,),
        )
    db.close()
    return path


def check_shape(comparison: Comparison) -> None:
    """What the model promises of tuples that are one a run."""
    runs = len(comparison.runs)
    assert len({run.label for run in comparison.runs}) == runs
    for figure in comparison.figures:
        assert figure.section in SECTIONS
        assert figure.unit in UNITS
        assert len(figure.values) == len(figure.changes) == runs
        assert figure.changes[0] is None
        assert any(value is not None for value in figure.values)
    for family in comparison.families:
        for row in (family, *family.operators, *family.kernels):
            assert len(row.sides) == len(row.changes) == runs
            assert row.changes[0] is None
            assert any(row.sides)
    for difference in comparison.configuration:
        assert len(set(difference.values)) > 1
    for finding in comparison.findings:
        assert len(finding.whys) == runs
