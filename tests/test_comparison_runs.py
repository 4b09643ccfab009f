"""Runs that lack something, are damaged or hostile, and what differs in their configuration."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fwtop.comparison import to_json
from fwtop.recording.store import RecordingError
from tests.comparisons import check_shape, compared
from tests.recordings import build


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0, "windows": 0, "compiles": 0, "host": False, "gpus": 0, "samples": None},
        {"steps": 0, "windows": 0, "compiles": 0, "state": "running"},
        {"steps": 200, "windows": 0},
        {"steps": 200, "state": "running"},
        {"steps": 200, "state": "lost", "samples": None},
        {"steps": 1, "compiles": 1, "windows": 0},
        {"steps": 40, "gpus": 0, "host": False},
    ],
)
def test_runs_that_lack_something_are_compared_as_far_as_they_go(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    whole = build(tmp_path / "whole.fwtop", steps=200)
    lacking = build(tmp_path / "lacking.fwtop", **changes)
    for paths in ((whole, lacking), (lacking, whole), (lacking, lacking), (whole, lacking, whole)):
        comparison = compared(*paths)
        body = json.loads(to_json(comparison))
        assert body["schema_version"] == 1
        assert len(body["verdicts"]) == len(paths)
        check_shape(comparison)
    if changes.get("windows") == 0:
        assert all(family.changes[1] is None for family in compared(whole, lacking).families)


def test_configuration_differences_by_option(tmp_path: Path) -> None:
    one = build(tmp_path / "a.fwtop", steps=30, command=("train.py", "--lr", "3e-4", "--amp"))
    two = build(tmp_path / "b.fwtop", steps=30, command=("train.py", "--lr=1e-3", "-b", "64"))
    with sqlite3.connect(two) as db:
        db.execute("""UPDATE run SET environment = '{"OMP_NUM_THREADS": "4", "MASTER_PORT": "1"}',
                   git_revision = 'ffff', git_dirty = 1""")
    db.close()
    rows = [(row.section, row.what, row.values) for row in compared(one, two).configuration]
    assert rows == [
        ("command", "--lr", ("3e-4", "1e-3")),
        ("command", "--amp", ("given", None)),
        ("command", "-b", (None, "64")),
        ("git", "revision", ("a2f4022", "ffff")),
        ("git", "uncommitted changes", ("no", "yes")),
        ("environment", "OMP_NUM_THREADS", ("8", "4")),
    ]
    other = build(tmp_path / "c.fwtop", steps=30, command=("other.py", "--lr", "3e-4"))
    rows = [(row.what, row.values) for row in compared(one, other).configuration]
    assert rows == [("command", ("train.py --lr 3e-4 --amp", "other.py --lr 3e-4"))]


def test_damage_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    whole = build(tmp_path / "whole.fwtop", steps=60)
    damaged = build(tmp_path / "damaged.fwtop", steps=60)
    with sqlite3.connect(damaged) as db:
        db.execute("UPDATE steps SET duration_ns = 'long' WHERE step_index = 30")
    db.close()
    with pytest.raises(RecordingError, match=r"damaged\.fwtop"):
        compared(whole, damaged)
    with pytest.raises(ValueError, match="two"):
        compared(whole)


def test_hostile_figures_do_no_harm(tmp_path: Path) -> None:
    whole = build(tmp_path / "whole.fwtop", steps=100)
    odd = build(tmp_path / "odd.fwtop", steps=100)
    with sqlite3.connect(odd) as db:
        db.execute("UPDATE steps SET duration_ns = -duration_ns WHERE step_index % 3 = 0")
        db.execute("UPDATE steps SET duration_ns = 1 << 60 WHERE step_index % 7 = 0")
        db.execute("UPDATE steps SET samples = 0")
        db.execute("UPDATE windows SET step_count = 0")
        db.execute("UPDATE operator_stats SET self_ns = -5, calls = 0")
        db.execute("UPDATE kernel_stats SET total_ns = 0")
    db.close()
    for paths in ((whole, odd), (odd, whole), (odd, odd)):
        check_shape(compared(*paths))
        json.loads(to_json(compared(*paths)))


def test_a_moment_that_no_run_has_is_damage(tmp_path: Path) -> None:
    """The first step's end passes what SQLite can hold, and is asked for."""
    whole = build(tmp_path / "whole.fwtop", steps=60)
    late = build(tmp_path / "late.fwtop", steps=60)
    with sqlite3.connect(late) as db:
        db.execute("UPDATE steps SET start_ns = 9223372036854775807 WHERE step_index = 0")
    db.close()
    with pytest.raises(RecordingError, match=r"late\.fwtop is damaged"):
        compared(whole, late)


def test_ranks_are_compared_by_their_lead(tmp_path: Path) -> None:
    one = build(tmp_path / "one.fwtop", steps=200)
    two = build(tmp_path / "two.fwtop", steps=200, processes=4, gpus=4, seed=3)
    comparison = compared(one, two)
    assert [steps.count for steps in comparison.steps] == [200, 200]
    assert [run.world_size for run in comparison.runs] == [None, 4]
    assert ("run", "world size", (None, "4")) in [
        (row.section, row.what, row.values) for row in comparison.configuration
    ]


def test_steps_with_gaps_in_their_numbers_are_found(tmp_path: Path) -> None:
    path = build(tmp_path / "gaps.fwtop", steps=300)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE steps SET step_index = step_index * 1000000000 WHERE step_index > 0")
    db.close()
    assert compared(path, path).steps[0].sampled_count > 200
