"""The devices' time and the kernels in the viewer, of real traces and of synthetic runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find
from fwtop.tui.app import FwtopApp
from fwtop.tui.widgets.device_time import DeviceTime
from fwtop.tui.widgets.gpus import GpuHistory
from tests import recordings
from tests.shared_traces import DIFF_CONTROL, RESNET50, shared_trace
from tests.tui.conftest import app_on, loaded, screen_text, until


def _imported(folder: Path, name: str) -> Path:
    path = folder / "run.fwtop"
    import_traces(find([shared_trace(name)]), path)
    return path


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _imported(tmp_path_factory.mktemp("resnet"), RESNET50)


async def opened(pilot: Pilot[Any], *keys: str) -> str:
    await loaded(pilot)
    for key in keys:
        await pilot.press(key)
        await loaded(pilot)
    return screen_text(pilot.app)


def shown(app: FwtopApp) -> tuple[bool, bool]:
    """History, device time."""
    screen = app.screen
    return screen.query_one(GpuHistory).display, screen.query_one(DeviceTime).display


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_a_trace_begins_with_its_device_time(resnet: Path, size: tuple[int, int]) -> None:
    app = FwtopApp(resnet)
    async with app.run_test(size=size) as pilot:
        text = await opened(pilot, "4")
        assert shown(app) == (False, True)
        for figure in (
            "step time 178 ms", "kernel 56%", "data loader 33%", "98.6 ms 55.5%", "55.5 %",
            "54.7 %", "49.1 %", "idle: host", "38.4%", "queue ≤ 569", "Performance advice",
            "6 traced steps in 1 window", "t history",
        ):  # fmt: skip
            assert figure in text, figure
        assert (size[1] < 40) or "data loader ran and nothing on the" in text
        await pilot.press("t")
        await loaded(pilot)
        assert shown(app) == (True, False)


async def test_communication_and_what_hides_it(tmp_path: Path) -> None:
    app = FwtopApp(_imported(tmp_path, DIFF_CONTROL))
    async with app.run_test(size=(120, 40)) as pilot:
        text = await opened(pilot, "4")
        assert "communication" in text
        assert "hidden" in text
        assert "27.3 ms    35.2%" in text
        assert "computing hides 46.2 % of it" in text
        assert "1009" in text
        assert "1014" in text


async def test_a_run_with_readings_shows_both_where_there_is_room(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        text = await opened(pilot, "4")
        assert shown(app) == (True, False)
        assert "t device time" in text
        text = await opened(pilot, "t")
        assert shown(app) == (False, True)
        assert "MFU" in text
        assert "11.6 TFLOP" in text
        assert "Nothing that the figures bear out" in text
    app = FwtopApp(finished)
    async with app.run_test(size=(200, 50)) as pilot:
        await opened(pilot, "4")
        assert shown(app) == (True, True)
        await opened(pilot, "t")
        assert shown(app) == (False, True)
        await opened(pilot, "t")
        assert shown(app) == (True, False)


async def test_the_cursor_chooses_a_window(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        assert "3 traced steps in 3 windows" in await opened(pilot, "4", "t")
        await pilot.press("left")
        await until(pilot, lambda: "window at 0:" in screen_text(app))
        assert "1 step" in screen_text(app)


async def test_without_kernels_it_says_so(tmp_path: Path) -> None:
    app = FwtopApp(recordings.build(tmp_path / "run.fwtop", gpus=0, steps=60))
    async with app.run_test(size=(120, 40)) as pilot:
        assert "No kernels: nothing ran on a GPU" in await opened(pilot, "4", "t")


async def test_a_live_run_without_a_window_awaits_one(tmp_path: Path) -> None:
    builder = recordings.Builder(tmp_path / "run.fwtop", recordings.Spec(state="running"))
    builder.add_steps(20)
    app = app_on(builder)
    async with app.run_test(size=(120, 40)) as pilot:
        assert "No trace window with kernels yet" in await opened(pilot, "4", "t")
        builder.add_window()
        await until(pilot, lambda: "1 traced step in 1 window" in screen_text(app))
        assert "SM efficiency" in screen_text(app)
    builder._db.close()


async def test_it_is_read_for_its_own_screen_alone(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert app.snapshot is not None
        assert app.snapshot.gpus is not None
        assert app.snapshot.gpus.device_time is None
        await opened(pilot, "4")
        assert app.snapshot.gpus.device_time is not None


async def test_kernels_tell_how_well_they_fill_the_device(resnet: Path) -> None:
    app = FwtopApp(resnet)
    async with app.run_test(size=(120, 40)) as pilot:
        text = await opened(pilot, "2", "t")
        assert "occupancy" in text
        first = next(line for line in text.splitlines() if "dgrad_engine" in line)
        assert "30.0 %" in first
        assert "100 %" in first
        assert " TC " not in first
        copy = next(line for line in text.splitlines() if "Memcpy" in line)
        assert copy.count(" – ") == 2


async def test_flops_a_second_are_of_the_device(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(200, 50)) as pilot:
        text = await opened(pilot, "2")
        rows = [line for line in text.splitlines() if "aten::convolution_b" in line]
        on_gpu = next(line for line in rows if " gpu " in line)
        assert "TFLOP/s" in on_gpu
        on_cpu = next(line for line in rows if " cpu " in line)
        assert "TFLOP/s" not in on_cpu.split("││")[0]
