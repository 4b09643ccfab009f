"""Operators' sums where windows were taken at several levels of detail."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from fwtop.queries import comparison, operators
from fwtop.recording.store import open_recording
from fwtop.recording.window_model import OperatorRow
from tests import recordings

CHEAP = ("cheap", "other", "forward", "cpu", 2, 100, 150, 10, None)
"""An operator in each of the windows that hold it: calls, self, total, allocated, flops."""
EVERY_WINDOW = 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording of six counted windows of one step each, without levels."""
    return recordings.build(tmp_path / "run.fwtop", windows=EVERY_WINDOW + 1)


def at_levels(path: Path, levels: Sequence[str | None], holding: Sequence[int]) -> None:
    """Give the counted windows their levels, and put the cheap operator in some of them."""
    name, family, phase, device, *sums = CHEAP
    with sqlite3.connect(path) as db:
        windows = [row[0] for row in db.execute("SELECT id FROM windows WHERE counted ORDER BY id")]
        assert len(windows) == EVERY_WINDOW
        for window, level in zip(windows, levels, strict=True):
            db.execute("UPDATE windows SET level = ? WHERE id = ?", (level, window))
        db.execute("INSERT INTO operator_names (name, family) VALUES (?, ?)", (name, family))
        for at in holding:
            db.execute(
                "INSERT INTO operator_stats SELECT ?, max(id), ?, ?, ?, ?, ?, ?, ?"
                " FROM operator_names",
                (windows[at], phase, device, *sums),
            )
    db.close()


def rows(path: Path) -> dict[tuple[str, str, str], OperatorRow]:
    with open_recording(path) as recording:
        assert operators.traced_steps(recording) == EVERY_WINDOW
        return {(r.name, r.phase, r.device): r for r in operators.operators(recording)}


def trend(path: Path) -> list[float]:
    with open_recording(path) as recording:
        return operators.operator_trend(recording, "cheap")


MIXED = ["3", "2", "2", "3", "2", "2"]


@pytest.mark.parametrize(
    ("levels", "holding", "steps", "seen"),
    [
        (MIXED, [0, 3], 6.0, [100, 100]),  # in each full window: in each step
        (MIXED, [0], 3.0, [0, 100]),  # in half of the full ones
        (MIXED, [0, 1], 2.0, [0, 0, 0, 0, 100, 100]),  # a lower level saw it: as it was found
        (["2"] * 6, [0, 1], 2.0, [0, 0, 0, 0, 100, 100]),
        (["3"] * 6, [0, 1], 2.0, [0, 0, 0, 0, 100, 100]),
        ([None] * 6, [0, 1], 2.0, [0, 0, 0, 0, 100, 100]),
        ([None, None, None, "2", "2", "3"], [5], 3.0, [100]),  # of the profiler with levels
        ([None, None, None, "2", "2", "3"], [0], 1.0, [0, 0, 0, 0, 0, 100]),
    ],
)
def test_what_only_the_fullest_level_sees_is_weighed_by_its_steps(
    path: Path,
    levels: list[str | None],
    holding: list[int],
    steps: float,
    seen: list[float],
) -> None:
    before = rows(path)
    at_levels(path, levels, holding)
    after = rows(path)
    cheap = after.pop(("cheap", "forward", "cpu"))
    assert (cheap.calls, cheap.self_ns, cheap.total_ns) == (2 * steps, 100 * steps, 150 * steps)
    assert cheap.self_allocated_bytes == 10 * steps
    assert cheap.flops is None
    assert after == before  # what every level sees stays as it was
    assert sorted(trend(path)) == seen
    with open_recording(path) as recording:
        work = comparison.traced_work(recording, None)
    (compared,) = [one for one in work.operators if one.name == "cheap"]
    assert (compared.calls, compared.self_ns) == (cheap.calls, cheap.self_ns)
    assert compared.rate_sum / work.spread_windows == cheap.self_ns / work.steps
    families = {(one.name, one.device): one for one in work.families}
    for (family, device), ours in families.items():
        own = [
            row for row in (*after.values(), cheap) if (row.family, row.device) == (family, device)
        ]
        assert ours.self_ns == sum(row.self_ns for row in own)
        assert ours.rate_sum / work.spread_windows == pytest.approx(ours.self_ns / work.steps)
