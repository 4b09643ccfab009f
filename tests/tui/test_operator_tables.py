"""The operators' screen: t goes from table to table, and each shows what the recording has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.recording.window_model import MemoryPointRow
from fwtop.tui.app import FwtopApp
from fwtop.tui.widgets.window_memory import stepped
from tests import recordings
from tests.tui.conftest import loaded, screen_text, until

MS = 1_000_000
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """A run on the CPU whose windows tell of an input pipeline and of memory."""
    builder = recordings.Builder(tmp_path / "run.fwtop", recordings.Spec(steps=60, gpus=0))
    builder.add_steps(30)
    builder.add_window()
    builder.add_steps(20)
    window = builder.add_window(deep=True)
    for path, calls, self_ns, total_ns in (
        ("Prefetch", 1, 31 * MS, 31 * MS), ("Prefetch::ParallelMapV2", 64, 44 * MS, 44 * MS),
        ("Prefetch::ParallelMapV2::Shuffle", 64, MS, 2 * MS),
        ("Prefetch::ParallelMapV2::Shuffle::TFRecord", 64, MS, MS),
    ):  # fmt: skip
        builder.insert(
            "input_stages", window_id=window, path=path, calls=calls, self_ns=self_ns,
            total_ns=total_ns,
        )  # fmt: skip
    for at, size in ((0, 1 << 20), (10 * MS, 40 << 20), (30 * MS, 12 << 20), (90 * MS, 0)):
        builder.insert(
            "memory_timeline", window_id=window, device="cpu", offset_ns=at, allocated_bytes=size
        )
    for number, (name, size) in enumerate((("ReluMade", 30 << 20), ("MatMulMade", 10 << 20)), 900):
        builder.insert("operator_names", id=number, name=name, family="other")
        builder.insert(
            "memory_holders", window_id=window, device="cpu", operator_id=number, bytes=size
        )
    return builder.finish()


async def test_t_goes_through_the_tables_that_have_something(told: Path) -> None:
    app = FwtopApp(told)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2")
        await loaded(pilot)
        await until(pilot, lambda: "t input pipeline" in screen_text(app))
        await pilot.press("t")
        await until(pilot, lambda: "Input pipeline" in screen_text(app))
        (line,) = (row for row in screen_text(app).splitlines() if "ParallelMapV2" in row)
        assert "29.0 ms" in line  # of the 31 ms that are waited, less what is below it
        assert "93.5%" in line
        assert "▲" in line
        assert "t memory" in screen_text(app)
        await pilot.press("t")
        await until(pilot, lambda: "Held where it was highest" in screen_text(app))
        assert "40.0 MiB" in screen_text(app)
        assert "ReluMade" in screen_text(app)
        assert "75.0%" in screen_text(app)
        await pilot.press("t")
        await until(pilot, lambda: "self/step" in screen_text(app))
        assert "t input pipeline" in screen_text(app)


async def test_a_wait_that_costs_no_step_anything_is_not_pointed_at(tmp_path: Path) -> None:
    """Of a step of 100 ms."""
    builder = recordings.Builder(tmp_path / "run.fwtop", recordings.Spec(steps=60, gpus=0))
    builder.add_steps(30)
    window = builder.add_window()
    builder.insert(
        "input_stages", window_id=window, path="DataLoader", calls=1, self_ns=MS, total_ns=MS
    )
    app = FwtopApp(builder.finish())
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("2")
        await until(pilot, lambda: "t input pipeline" in screen_text(app))
        await pilot.press("t")
        await until(pilot, lambda: "100.0%" in screen_text(app))
        (line,) = (row for row in screen_text(app).splitlines() if "DataLoader" in row)
        assert "1.00 ms" in line
        assert "▲" not in line


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("times", [1, 2], ids=["input", "memory"])
def test_how_they_look(snap_compare: Any, told: Path, size: str, times: int) -> None:
    async def open_it(pilot: Any) -> None:
        await loaded(pilot)
        await pilot.press("2")
        await loaded(pilot)
        await pilot.press(*["t"] * times)
        await loaded(pilot)

    assert snap_compare(FwtopApp(told), terminal_size=SIZES[size], run_before=open_it)


_points = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(-(10**9), 10**9)), min_size=1,
    unique_by=lambda point: point[0],
)  # fmt: skip


@given(_points, st.integers(1, 200))
def test_a_plot_of_any_width_shows_the_peak(points: list[tuple[int, int]], columns: int) -> None:
    points.sort()
    values = stepped([MemoryPointRow(*point) for point in points], columns)
    assert len(values) == columns
    assert max(value for value in values if value is not None) == max(held for _, held in points)
    assert values[0] is not None
    assert None not in values
