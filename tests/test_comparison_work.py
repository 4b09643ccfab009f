"""Operators, kernels and families of recordings whose differences are known."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.comparisons import compared, operator
from tests.recordings import MS, Builder, Spec, build


def test_operators_that_came_and_went_and_their_share(tmp_path: Path) -> None:
    one = build(tmp_path / "one.fwtop", steps=600, windows=8)
    builder = Builder(tmp_path / "two.fwtop", Spec(steps=600, windows=8, seed=9, step_ns=120 * MS))
    builder.add_everything()
    builder.insert("operator_names", name="aten::new_op", family="matmul")
    builder.insert("operator_names", name="other_kernel", family="matmul")
    for (window,) in builder._db.execute("SELECT id FROM windows").fetchall():
        for name, table in (("aten::new_op", "operator_stats"), ("other_kernel", "kernel_stats")):
            (operator_id,) = builder._db.execute(
                "SELECT id FROM operator_names WHERE name = ?", (name,)
            ).fetchone()
            columns: dict[str, Any] = {"window_id": window, "operator_id": operator_id, "calls": 3}
            if table == "kernel_stats":
                builder.insert(table, **columns, stream=7, total_ns=50 * MS)
            else:
                builder.insert(
                    table, **columns, phase="forward", device="gpu", self_ns=50 * MS,
                    total_ns=60 * MS,
                )  # fmt: skip
    builder._db.execute(
        "DELETE FROM operator_stats WHERE operator_id ="
        " (SELECT id FROM operator_names WHERE name = 'aten::relu_')"
    )
    comparison = compared(one, builder.finish())
    new, gone = operator(comparison, "aten::new_op"), operator(comparison, "aten::relu_")
    assert new.changes[1] is not None
    assert gone.changes[1] is not None
    assert (new.changes[1].status, new.changes[1].ratio) == ("added", None)
    assert (new.sides[0], new.changes[1].delta_ns) == (None, 50 * MS)
    assert new.changes[1].noise is False
    assert new.changes[1].calls_delta == 3
    assert (gone.changes[1].status, gone.changes[1].ratio) == ("deleted", -1.0)
    # the step is some 20 ms longer, the new operator takes 50 of a traced one
    assert new.changes[1].step_share == pytest.approx(50 / 20, rel=0.2)
    matmul = comparison.families[0]
    assert (matmul.family, matmul.device) == ("matmul", "gpu")
    assert matmul.operators[0] is new
    assert matmul.kernels[0].name == "other_kernel"
    deltas = [
        abs(family.changes[1].delta_ns) for family in comparison.families if family.changes[1]
    ]
    assert deltas == sorted(deltas, reverse=True)


def test_shapes_are_compared_where_both_have_deep_windows(tmp_path: Path) -> None:
    paths = []
    for name, deep, seed in (("one", True, 1), ("two", True, 2), ("three", False, 3)):
        builder = Builder(tmp_path / f"{name}.fwtop", Spec(seed=seed))
        builder.add_steps(50)
        builder.add_window()
        builder.add_window(deep=deep)
        paths.append(builder.finish())
    found = operator(compared(*paths), "aten::addmm", "cpu").details
    assert [detail.kind for detail in found] == ["module", "shape", "source"]
    shape = found[1]
    assert shape.sides[0] is not None
    assert shape.changes[1] is not None
    assert shape.changes[2] is None, "without a deep window nothing is known of shapes"
    assert operator(compared(paths[0], paths[2]), "aten::addmm", "cpu").details == ()


def test_different_frameworks_are_compared_by_family(tmp_path: Path) -> None:
    one = build(tmp_path / "torch.fwtop", steps=200)
    two = build(tmp_path / "tensorflow.fwtop", steps=200, seed=2)
    with sqlite3.connect(two) as db:
        db.execute("UPDATE frameworks SET name = 'tensorflow', version = '2.21.0'")
        db.execute("UPDATE operator_names SET name = 'MatMul' WHERE name = 'aten::addmm'")
        db.execute("DELETE FROM operator_stats WHERE operator_id ="
                   " (SELECT id FROM operator_names WHERE name = 'aten::mm')")  # fmt: skip
    db.close()
    comparison = compared(one, two)
    assert any("compare the families" in note for note in comparison.notes)
    matmul = next(f for f in comparison.families if (f.family, f.device) == ("matmul", "gpu"))
    assert all(matmul.sides)
    status = {row.name: row.changes[1].status for row in matmul.operators if row.changes[1]}
    assert status == {"MatMul": "added", "aten::addmm": "deleted", "aten::mm": "deleted"}
