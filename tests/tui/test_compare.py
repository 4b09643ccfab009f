"""The comparison's screens, on real recordings: keys, sizes, what is said without colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fwtop.tui import compare
from fwtop.tui.compare.app import CompareApp
from fwtop.tui.compare.picture import Source, by_side
from fwtop.tui.compare.screens import SCREENS, Overview
from fwtop.tui.compare.tables import Configuration, Figures, Findings
from fwtop.tui.compare.work import Work
from fwtop.tui.screens.dialogs import Help, Prompt
from tests import recordings
from tests.tui.conftest import screen_text, until

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x50": (200, 50)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A baseline, the same again, one starved of input, one compiled and faster."""
    folder = tmp_path_factory.mktemp("runs")
    specs: dict[str, dict[str, Any]] = {
        "base": {},
        "again": {"seed": 12},
        "starved": {"seed": 9, "step_ns": 106 * recordings.MS, "input_share": 0.3},
        "compiled": {
            "seed": 8, "step_ns": 90 * recordings.MS, "compiles": 3,
            "command": ("train.py", "--lr", "3e-4", "--compile"),
        },
    }  # fmt: skip
    found = {}
    for number, (name, changes) in enumerate(specs.items()):
        builder = recordings.Builder(
            folder / f"{name}.fwtop",
            recordings.Spec(steps=600, run_id=f"2026112{number}-101112-abcd", **changes),
        )
        builder.add_everything()
        builder.add_window(deep=True)
        found[name] = builder.finish()
    return found


def app_on(runs: dict[str, Path], *names: str, markdown: Any = None) -> CompareApp:
    return CompareApp([Source(runs[name]) for name in names], markdown)


async def compared(pilot: Pilot[Any]) -> None:
    """The comparison is on the screen."""
    app = pilot.app
    assert isinstance(app, CompareApp)
    await until(pilot, lambda: not app.picture.comparing)
    await pilot.pause()
    await until(pilot, lambda: getattr(app.frame_screen, "picture", None) is app.picture)
    await pilot.pause()


def line_with(app: CompareApp, text: str) -> str:
    return next(line for line in screen_text(app).splitlines() if text in line)


async def test_the_verdict_says_faster_slower_or_noise(runs: dict[str, Path]) -> None:
    for other, sign, word in (("compiled", "▼", "faster"), ("starved", "▲", "slower"),
                              ("again", "≈", "noise")):  # fmt: skip
        app = app_on(runs, "base", other)
        async with app.run_test(size=(120, 40)) as pilot:
            await compared(pilot)
            line = line_with(app, f"B {sign}")
            assert word in line
            assert "95 % CI" in screen_text(app)


async def test_something_is_there_before_the_comparison_is(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from threading import Event

    from fwtop.tui.compare import app as application

    go = Event()
    load = application.load
    monkeypatch.setattr(application, "load", lambda sources: go.wait() and load(sources))
    app = app_on(runs, "base", "compiled")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "A base (baseline)  B compiled" in screen_text(app))
        assert "comparing …" in screen_text(app)
        go.set()
        await compared(pilot)
        assert "comparing" not in screen_text(app)


async def test_what_changed_comes_first_and_noise_says_so(runs: dict[str, Path]) -> None:
    app = app_on(runs, "base", "starved")
    async with app.run_test(size=(200, 50)) as pilot:
        await compared(pilot)
        shown = [figure.metric for figure in app.screen.query_one(Figures)._shown]
        assert shown[:2] == ["step_time", "phase[input]"]
        assert "▲" in line_with(app, "median step")
        await pilot.press("x")
        await until(pilot, lambda: "A starved (baseline)" in screen_text(app))
        await compared(pilot)
        assert "▼" in line_with(app, "median step")
    app = app_on(runs, "base", "again")
    async with app.run_test(size=(200, 50)) as pilot:
        await compared(pilot)
        assert "noise" in line_with(app, "median step")


async def test_families_open_down_to_the_shape(runs: dict[str, Path]) -> None:
    app = app_on(runs, "base", "compiled")
    async with app.run_test(size=(160, 50)) as pilot:
        await compared(pilot)
        await pilot.press("2")
        await compared(pilot)
        work = app.screen.query_one(Work)
        closed = [node.key for node in work._shown]
        assert all(node.depth == 0 for node in work._shown)
        while (chosen := work.chosen()) is not None and chosen.device != "cpu":
            await pilot.press("down")
        at = work._chosen_index()
        await pilot.press("space")
        opened = work._shown[at + 1]
        assert (opened.depth, opened.kind) == (1, "operator")
        await pilot.press("down", "right")
        kinds = {node.kind for node in work._shown}
        assert "shape" in kinds
        await pilot.press("left", "left")
        assert [node.key for node in work._shown] == closed
        assert work.chosen() is not None
        await pilot.press("E")
        assert any(node.kind == "kernel" for node in work._shown)
        await pilot.press("E")
        assert [node.key for node in work._shown] == closed


async def test_work_is_sorted_within_each_level_and_filtered_with_its_family(
    runs: dict[str, Path],
) -> None:
    app = app_on(runs, "base", "compiled")
    async with app.run_test(size=(160, 50)) as pilot:
        await compared(pilot)
        await pilot.press("2")
        await compared(pilot)
        work = app.screen.query_one(Work)
        own = [node.key for node in work._shown]
        await pilot.press("E", "s")
        assert work.sort_key == "name"
        families = [node.name for node in work._shown if node.depth == 0]
        assert families == sorted(families)
        for above, below in zip(work._shown, work._shown[1:], strict=False):
            assert below.depth <= above.depth + 1
            assert below.depth == 0 or below.key.startswith(below.device) or below.kind == "kernel"
        await pilot.press("E")
        for _ in range(12):
            if work.sort_key == "":
                break
            await pilot.press("s")
        assert [node.key for node in work._shown] == own, "the comparison's own order comes back"
        await pilot.press("slash", *"addmm", "enter")
        assert {node.name for node in work._shown} >= {"matmul", "aten::addmm"}
        assert "aten::relu_" not in {node.name for node in work._shown}


async def test_every_number_opens_its_screen_and_escape_goes_back(runs: dict[str, Path]) -> None:
    app = app_on(runs, "base", "starved")
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        for number, kind in enumerate(SCREENS, 1):
            await pilot.press(str(number))
            await compared(pilot)
            assert isinstance(app.screen, kind)
        assert len(app.screen_stack) == 3, "they do not pile up"
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)


async def test_enter_opens_the_screen_of_a_table(runs: dict[str, Path]) -> None:
    app = app_on(runs, "base", "starved")
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        app.screen.query_one(Findings).focus()
        await pilot.press("enter")
        await compared(pilot)
        assert isinstance(app.screen, SCREENS[5])
        assert "input_bound" in screen_text(app)
        assert "+ came" in screen_text(app)
        assert "→" in screen_text(app), "what to do next"


async def test_configuration_shows_what_differs(runs: dict[str, Path]) -> None:
    app = app_on(runs, "base", "compiled")
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        await pilot.press("7")
        await compared(pilot)
        assert "--compile" in screen_text(app)
        assert len(app.screen.query_one(Configuration)._shown) >= 1


async def test_four_runs_have_a_change_each(runs: dict[str, Path]) -> None:
    app = app_on(runs, "base", "again", "starved", "compiled")
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        head = line_with(app, "Δ B")
        assert "Δ C" in head
        assert "Δ D" in head
        line = line_with(app, "median step")
        assert ("▲" in line, "▼" in line, "noise" in line) == (True, True, True)


async def test_repeats_are_one_side(runs: dict[str, Path]) -> None:
    """What the interval covers is on the screen at any size; the sides turn round as wholes."""
    sides = by_side(
        [Source(runs[name]) for name in ("base", "again", "starved", "compiled")], [3, 1]
    )
    app = CompareApp(sides)
    async with app.run_test(size=(80, 24)) as pilot:
        assert "A base +2 (baseline)" in screen_text(app)
        await compared(pilot)
        assert "CI between 3 | 1 runs" in screen_text(app)
        await pilot.press("x")
        await until(pilot, lambda: "A compiled (baseline)" in screen_text(app))
        await compared(pilot)
        assert "CI between 1 | 3 runs" in screen_text(app)
    for size in ((80, 24), (120, 40)):
        app = app_on(runs, *runs)
        async with app.run_test(size=size) as pilot:
            await compared(pilot)
            assert "CI within the runs only" in line_with(app, "Verdict")


async def test_why_a_change_is_uncertain_is_beside_it(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    few = recordings.build(tmp_path / "few.fwtop", steps=6, windows=0, compiles=0)
    app = CompareApp([Source(runs["base"]), Source(few)])
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        assert "B ? unknown: too few steps to tell" in screen_text(app)
        assert "? too few steps" in line_with(app, "median step")


async def test_a_damaged_recording_is_told_and_tried_again(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.fwtop"
    bad.write_bytes(b"nothing of ours")
    app = CompareApp([Source(runs["base"]), Source(bad)])
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        assert "bad.fwtop is not a recording" in screen_text(app)
        assert "r tries again" in screen_text(app)
        bad.write_bytes(runs["starved"].read_bytes())
        await pilot.press("r")
        await until(pilot, lambda: app.picture.comparison is not None)
        await compared(pilot)
        assert "slower" in screen_text(app)
        assert "r tries again" not in screen_text(app)


async def test_markdown_is_written_and_nothing_overwritten(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = app_on(runs, "base", "starved", markdown=lambda c: f"# {c.runs[1].label}\n")
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        await pilot.press("e")
        assert isinstance(app.screen, Prompt)
        await pilot.press("enter")
        await until(pilot, lambda: "written to" in app._notice)
        await pilot.press("e", "enter")
        await until(pilot, lambda: "exists already" in app._notice)
    assert (tmp_path / "compare-base-starved.md").read_text() == "# starved\n"


async def test_help_tells_the_figures_and_the_keys(runs: dict[str, Path]) -> None:
    app = app_on(runs, "base", "starved")
    async with app.run_test(size=(120, 50)) as pilot:
        await compared(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        assert "A is the baseline" in screen_text(app)
        assert "another run as the baseline" in screen_text(app)
        await pilot.press("escape", "q")
    assert app.return_code in (0, None)


@pytest.mark.parametrize("size", [(60, 16), (72, 20), (80, 24), (100, 30), (120, 40), (240, 60)])
@pytest.mark.parametrize("count", [2, 3, 4])
async def test_nothing_overlaps_at_any_size(
    runs: dict[str, Path], size: tuple[int, int], count: int
) -> None:
    app = app_on(runs, *list(runs)[:count])
    async with app.run_test(size=size) as pilot:
        await compared(pilot)
        for number in range(len(SCREENS) + 1):
            if number:
                await pilot.press(str(number))
                await compared(pilot)
            shown = [widget for widget in app.screen.children if widget.display]
            regions = [widget.region for widget in shown]
            for at, region in enumerate(regions):
                assert app.screen.region.contains_region(region)
                assert not any(region.overlaps(other) for other in regions[at + 1 :])
            for line in screen_text(app).splitlines():
                assert len(line) <= size[0]


def test_only_two_to_four_runs(runs: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="1 runs"):
        compare.view([runs["base"]])


@pytest.mark.parametrize("size", SIZES)
def test_two_runs(snap_compare: Any, runs: dict[str, Path], size: str) -> None:
    async def open_a_family(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        pilot.app.screen.query_one(Work).focus()
        await pilot.press("space")
        await pilot.pause()

    app = app_on(runs, "base", "starved")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=open_a_family)


@pytest.mark.parametrize("size", ["80x24", "120x40"])
def test_four_runs(snap_compare: Any, runs: dict[str, Path], size: str) -> None:
    app = app_on(runs, "base", "again", "starved", "compiled")
    assert snap_compare(app, terminal_size=SIZES[size], run_before=compared)


@pytest.mark.parametrize("number", range(1, len(SCREENS) + 1))
def test_a_subject(snap_compare: Any, runs: dict[str, Path], number: int) -> None:
    async def open_it(pilot: Pilot[Any]) -> None:
        await compared(pilot)
        await pilot.press(str(number))
        await compared(pilot)

    app = app_on(runs, "base", "compiled")
    assert snap_compare(app, terminal_size=SIZES["120x40"], run_before=open_it)


async def test_no_text_of_a_recording_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    paths = []
    for number in (1, 2):
        builder = recordings.Builder(
            tmp_path / f"{number}.fwtop",
            recordings.Spec(steps=120, seed=number, command=("\x1b[2Jtrain.py", "\x07数" * 40)),
        )
        builder.add_everything()
        builder._db.execute(
            "UPDATE run SET id = 'a' || char(27) || '[2J', name = ?, environment = ?, tags = ?",
            (
                f"\x1b]0;x\x07[/b]{number}",
                f'{{"X\\u001b[1m": "\\u001b[2J{number}"}}',
                '["\\u001b"]',
            ),
        )
        builder._db.execute("UPDATE operator_names SET name = name || char(27) || '[2J'")
        builder._db.execute("UPDATE operator_names SET family = family || char(7)")
        builder.commit()
        paths.append(builder.finish())
    app = CompareApp([Source(path) for path in paths])
    async with app.run_test(size=(120, 40)) as pilot:
        await compared(pilot)
        for key in ("1", "2", "3", "4", "5", "6", "7"):
            await pilot.press(key)
            await compared(pilot)
            await pilot.pause()
            assert all(line.isprintable() for line in screen_text(app).splitlines()), key
