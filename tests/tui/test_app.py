"""Keys and dialogs, on real recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from fwtop.tui.app import FwtopApp, Left
from fwtop.tui.screens.dialogs import Help, Prompt, ratio_of
from fwtop.tui.screens.full import FULL_SCREENS
from fwtop.tui.screens.overview import Overview
from fwtop.tui.widgets.log import Log
from fwtop.tui.widgets.operators import Operators
from fwtop.tui.widgets.panel import Panel
from tests import recordings
from tests.tui.conftest import app_on, loaded, screen_text, until


async def test_every_panel_opens_with_its_number_and_escape_goes_back(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        for number, (subject, screen) in enumerate(FULL_SCREENS.items(), 1):
            await pilot.press(str(number))
            await loaded(pilot)
            assert isinstance(app.screen, screen), subject
        assert len(app.screen_stack) == 3, "full screens do not pile up"
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)


async def test_enter_opens_the_focused_panel_and_tab_goes_to_the_next(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert isinstance(app.focused, Panel)
        assert app.focused.id == "steps"
        await pilot.press("tab")
        assert app.focused.id == "operators"
        await until(pilot, lambda: "▸2 Operators" in screen_text(app))
        await pilot.press("enter")
        assert isinstance(app.screen, FULL_SCREENS["operators"])


async def test_a_click_focuses_and_a_double_click_opens(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.click("#host")
        assert app.focused is not None
        assert app.focused.id == "host"
        await pilot.click("#log", times=2)
        assert isinstance(app.screen, FULL_SCREENS["log"])


async def test_sorting_by_key_and_by_click(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(140, 40)) as pilot:
        await loaded(pilot)
        table = app.screen.query_one(Operators)
        table.focus()
        names = [row.name for row in table._shown]
        assert [row.self_ns for row in table._shown] == sorted(
            (row.self_ns for row in table._shown), reverse=True
        )
        await pilot.press("S")
        assert [row.name for row in table._shown] == names[::-1]
        before = table.sort_key
        await pilot.press("s")
        assert table.sort_key != before
        await pilot.click(table, offset=(5, 1))
        assert table.sort_key == "name"
        assert table._shown[0].name == min(names)
        assert "operator▲" in screen_text(app)


async def test_the_selection_follows_its_item(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await loaded(pilot)
        table = app.screen.query_one(Operators)
        await pilot.press("down", "down")
        chosen = table.chosen()
        assert chosen is not None
        await pilot.press("S")
        assert table.chosen() == chosen
        await until(pilot, lambda: chosen.name in str(app.screen.query_one("#details").item))  # type: ignore[attr-defined]


async def test_a_filter_is_applied_as_it_is_typed_and_escape_restores_it(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await loaded(pilot)
        table = app.screen.query_one(Operators)
        everything = len(table._shown)
        await pilot.press("slash", "c", "o", "n", "v")
        assert 0 < len(table._shown) < everything
        assert all("conv" in row.name + row.family for row in table._shown)
        await pilot.press("enter")
        assert not isinstance(app.screen, Prompt)
        assert "/conv" in screen_text(app)
        await pilot.press("slash", "x")
        assert not table._shown
        assert "nothing matches" in screen_text(app)
        await pilot.press("escape")
        assert table.needle == "conv"


async def test_pause_freezes_the_view_and_not_the_recording(live: recordings.Builder) -> None:
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("p")
        await until(pilot, lambda: app.snapshot and app.snapshot.moment.paused_ns is not None)
        assert "paused at" in screen_text(app)
        assert app.snapshot is not None
        assert app.snapshot.steps is not None
        count = app.snapshot.steps.count
        live.add_steps(30)
        app._watcher._wake.set()
        await until(pilot, lambda: app._watcher._version != 0)
        assert app.snapshot.steps.count == count
        await pilot.press("space")
        await until(pilot, lambda: app.snapshot.steps.count == count + 30)  # type: ignore[union-attr]


async def test_the_time_cursor_moves_everything(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert app.snapshot is not None
        newest = app.snapshot.moment.now_ns
        await pilot.press("shift+left", "shift+left")
        await until(pilot, lambda: app.snapshot.moment.cursor_ns is not None)  # type: ignore[union-attr]
        await loaded(pilot)
        shown = app.snapshot
        cursor = shown.moment.cursor_ns
        assert cursor is not None
        assert cursor < newest
        assert shown.steps is not None
        assert shown.steps.at is not None
        assert shown.steps.at.start_ns <= cursor <= shown.steps.at.end_ns + recordings.S
        assert shown.operators is not None
        assert shown.operators.window is not None
        assert shown.host is not None
        assert shown.host.latest is not None
        assert shown.host.latest.at_ns <= cursor
        assert shown.log is not None
        assert all(line.at_ns <= cursor for line in shown.log.lines)
        text = screen_text(app)
        assert "┃ at 0:" in text
        assert f"step {shown.steps.at.index}" in text
        assert "┃ of the whole run" in text, "findings are not of the cursor's moment"
        await pilot.press("7")
        await until(pilot, lambda: "These judge the whole run" in screen_text(app))
        await pilot.press("escape")
        await loaded(pilot)
        await pilot.press("end")
        await until(pilot, lambda: app.snapshot.moment.cursor_ns is None)  # type: ignore[union-attr]
        await pilot.press("home")
        await until(pilot, lambda: app.snapshot.moment.cursor_ns == 0)  # type: ignore[union-attr]
        await pilot.press("escape")
        await until(pilot, lambda: app.snapshot.moment.cursor_ns is None)  # type: ignore[union-attr]


async def test_enter_on_a_slow_step_puts_the_cursor_on_it(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("1")
        await loaded(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.snapshot.moment.cursor_ns is not None)  # type: ignore[union-attr]
        assert app.snapshot is not None
        assert app.snapshot.steps is not None
        slow = sorted(app.snapshot.steps.slowest, key=lambda step: -step.duration_ns)
        assert app.snapshot.steps.at == slow[1]


async def test_zoom_changes_how_much_time_is_shown(live: recordings.Builder) -> None:
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: app._wanted.span_ns == 60 * recordings.S)
        await pilot.press("right_square_bracket")
        assert app._wanted.span_ns == 0, "a run of 50 s has no more to show than all of it"


async def test_help_is_about_the_focused_panel(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        app.screen.query_one("#gpus").focus()
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        assert "throttle" in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)


async def test_the_palette_finds_actions(finished: Path) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: app.screen.query(Input))
        await pilot.press(*"findings")
        await until(pilot, lambda: "Open findings" in screen_text(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, FULL_SCREENS["findings"]))


async def test_q_on_a_finished_recording_leaves_with_its_exit_status(tmp_path: Path) -> None:
    app = FwtopApp(recordings.build(tmp_path / "run.fwtop", steps=20, exit_status=3))
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert "✖ failed, exit 3" in screen_text(app)
        await pilot.press("q")
    assert app.left() == Left(ended=True, exit_status=3)


async def test_a_run_whose_end_was_not_seen_is_not_one_that_goes_on(tmp_path: Path) -> None:
    app = FwtopApp(recordings.build(tmp_path / "run.fwtop", steps=20, state="lost"))
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert "lost: its end was not seen" in screen_text(app)
        await pilot.press("q")
    assert app.left() == Left(ended=True)


async def test_the_end_of_the_run_is_shown_and_told(live: recordings.Builder) -> None:
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        assert "● running" in screen_text(app)
        live._db.execute(
            "UPDATE run SET state = 'finished', exit_signal = 9, duration_ns = ?", (live.now_ns,)
        )
        live.commit()
        await until(pilot, lambda: "✖ ended by SIGKILL" in screen_text(app))
        assert "detach" not in screen_text(app).splitlines()[-1]
        await until(pilot, lambda: app.snapshot.steps.axis.whole)  # type: ignore[union-attr]
        await pilot.press("q")
    assert app.left() == Left(ended=True, exit_status=137)


async def test_the_log_scrolls_back_stays_there_and_follows_again(
    live: recordings.Builder,
) -> None:
    live.add_output(b"".join(b"line %d\r\n" % number for number in range(500)))
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("6")
        await loaded(pilot)
        assert "line 499" in screen_text(app)
        await pilot.press("pageup", "pageup")
        assert "line 499" not in screen_text(app)
        before = screen_text(app).splitlines()[4:30]
        live.add_output(b"something new\r\n")
        app._watcher._wake.set()
        await until(pilot, lambda: "something new" in str(app.snapshot.log.lines[-1]))  # type: ignore[union-attr]
        await pilot.pause()
        assert screen_text(app).splitlines()[4:30] == before
        await pilot.press("f")
        assert "something new" in screen_text(app)
        await pilot.press("slash", *"line 42", "enter")
        panel = app.screen.query_one(Log)
        assert panel.needle == "line 42"
        await pilot.press("N")
        assert "line 42" in screen_text(app)


@pytest.mark.parametrize("size", [(40, 10), (59, 30), (80, 12)])
async def test_a_terminal_too_small_is_told_so(finished: Path, size: tuple[int, int]) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "at least" in screen_text(app))
        await pilot.resize_terminal(80, 24)
        await loaded(pilot)
        assert "1 Steps" in screen_text(app)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (100, 34), (120, 40), (200, 50), (240, 60)])
@pytest.mark.parametrize("subject", [None, *FULL_SCREENS])
async def test_headings_are_whole_at_every_size(
    finished: Path, size: tuple[int, int], subject: str | None
) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=size) as pilot:
        if subject is not None:
            await pilot.press(str(list(FULL_SCREENS).index(subject) + 1))
        await loaded(pilot)
        text = screen_text(app)
        for panel in app.screen.query(Panel):
            if panel.display and panel.TITLE:
                assert f" {panel.TITLE} ─" in text.replace(f"{panel.KEY} ", " ", 99), panel
        assert len(text.splitlines()) == size[1]


async def test_a_recording_without_anything_says_what_is_awaited(tmp_path: Path) -> None:
    builder = recordings.Builder(
        tmp_path / "run.fwtop", recordings.Spec(state="running", gpus=0, host=False)
    )
    builder._db.execute("DELETE FROM governor")
    builder.commit()
    app = app_on(builder)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        text = screen_text(app)
        for awaited in (
            "waiting for the first optimizer.step()",
            "No trace window yet",
            "Nothing compiled so far",
            "No reading of the host yet",
            "Nothing printed so far",
            "Nothing found so far",
        ):
            assert awaited in text, awaited
        await pilot.press("4")
        await loaded(pilot)
        assert "No GPU" in screen_text(app)
    builder.close()


def test_no_colour_is_written_under_no_color(finished: Path) -> None:
    import re

    from tests.tui.terminal import run_viewer

    seen = run_viewer(finished, ["2"], environment={"NO_COLOR": "1"})
    styles = re.findall(rb"\x1b\[([\d;]*)m", seen.raw)
    codes = {int(code or 0) for style in styles for code in style.split(b";")}
    assert codes <= {0, 1, 2, 3, 4, 7, 39, 49}, (
        "weight, underline, reverse and the default are no colour"
    )
    assert 1 in codes
    assert "status 0" in seen.last_words


@pytest.mark.parametrize(
    ("text", "ratio"),
    [("1%", 0.01), ("0.5 %", 0.005), ("0", 0), ("0.02", 0.02), ("100%", 1), ("2", None),
     ("-1%", None), ("much", None), ("%", None), ("nan", None)],
)  # fmt: skip
def test_a_share_is_read_as_people_write_it(text: str, ratio: float | None) -> None:
    assert ratio_of(text) == ratio
