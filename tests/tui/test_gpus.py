"""GPUs and the memory that the run holds on them, in much room and in little."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fwtop.formatting import format_bytes
from fwtop.tui.app import FwtopApp
from fwtop.tui.widgets.gpus import Gpus
from fwtop.tui.widgets.host import Host
from tests import recordings
from tests.tui.conftest import loaded, screen_text, until

HOLDER = {"size_bytes": 512 << 20, "count": 12, "where": "/home/me/model.py:30 forward"}


def shown_by(panel: Gpus | Host) -> str:
    return "\n".join(strip.text for strip in panel._lines)


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 50)])
@pytest.mark.parametrize("full", [False, True])
async def test_each_of_eight_gpus_is_seen_at_every_size(
    tmp_path: Path, size: tuple[int, int], full: bool
) -> None:
    path = recordings.build(tmp_path / "run.fwtop", gpus=8, processes=6, steps=60, throttled=True)
    app = FwtopApp(path)
    async with app.run_test(size=size) as pilot:
        await loaded(pilot)
        if full:
            await pilot.press("4")
            await loaded(pilot)
        seen = shown_by(app.screen.query_one(Gpus))
        shares = [word for word in seen.replace(" %", "%").split() if "%" in word]
        assert len(shares) == 8, seen
        assert "more" not in seen
        assert seen.count("●") == 6
        assert seen.count("○") == 2
        assert seen.count("▼") >= 6


async def test_what_the_allocator_holds_and_when_it_gave_up(tmp_path: Path) -> None:
    builder = recordings.Builder(tmp_path / "run.fwtop", recordings.Spec(gpus=1))
    builder.add_steps(100)
    for at_s in (3, 8):
        builder.insert(
            "out_of_memory", process_id=1, at_ns=at_s * recordings.S, device="cuda:0",
            message="2147483648 bytes asked for, 1073741824 of 85899345920 free",
            holders=json.dumps([HOLDER]),
        )  # fmt: skip
    app = FwtopApp(builder.finish())
    async with app.run_test(size=(160, 50)) as pilot:
        await loaded(pilot)
        (reading,) = app.snapshot.memory  # type: ignore[union-attr]
        panel = shown_by(app.screen.query_one(Gpus))
        held = f"alloc {format_bytes(reading.allocated_bytes)} | "
        assert held + f"{format_bytes(reading.reserved_bytes)} reserved" in panel
        assert "✖ out of memory at 0:00:08 on cuda:0 (2 times)" in panel
        await pilot.press("4")
        await loaded(pilot)
        await until(pilot, lambda: "alloc 80.0 GiB" in screen_text(app))
        panel = shown_by(app.screen.query_one(Gpus))
        assert f"peak {format_bytes(reading.allocated_peak_bytes)}" in panel
        assert "2.00 GiB asked for, 1.00 GiB of 80.0 GiB free" in panel
        assert panel.count("12 × 512 MiB") == 2
        assert "6.00 GiB" in panel
        assert "model.py:30 forward" in panel


async def test_without_a_driver_library_the_host_shows_the_allocator(tmp_path: Path) -> None:
    builder = recordings.Builder(tmp_path / "run.fwtop", recordings.Spec(gpus=0))
    builder.add_steps(100)
    builder.insert(
        "memory_samples", process_id=1, at_ns=builder.now_ns, device="cuda:0",
        allocated_bytes=3 << 30, reserved_bytes=None, active_bytes=None,
        allocated_peak_bytes=None, reserved_peak_bytes=None, retries=None, ooms=None,
    )  # fmt: skip
    app = FwtopApp(builder.finish())
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert "cuda:0 alloc 3.00 GiB | – reserved" in shown_by(app.screen.query_one(Host))
