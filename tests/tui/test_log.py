"""Lines of the libraries' own logs in the log panel: quieter by level, and left out on demand."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from textual.pilot import Pilot

from fwtop.analysis.log_lines import LEVELS
from fwtop.tui import palette
from fwtop.tui.app import FwtopApp
from fwtop.tui.drawing import width_of
from fwtop.tui.screens.full import FULL_SCREENS
from fwtop.tui.script_terminal import LogLine
from fwtop.tui.widgets.log import HIDING, Log, next_hiding
from fwtop.tui.widgets.log_rows import LogRows
from tests import recordings
from tests.tui.conftest import app_on, loaded, screen_text, until

INFO = "I0000 00:00:1795424203.332617   25320 port.cc:153] oneDNN custom operations"
WARNING = "2026-11-22 10:11:12.345678: W tensorflow/core/util/port.cc:153] beware"
ERROR = "E0000 00:00:1795424203.332617   25320 port.cc:155] it went wrong"


def write(live: recordings.Builder) -> None:
    live.add_output(b"\r\n")
    for line in ("the script", INFO, WARNING, ERROR):
        live.add_output(line.encode() + b"\r\n")
    live.add_output(b"\r 10%|#   | 1/9" + INFO.encode() + b"\r\n\r 20%|##  | 2/9")


def looks(app: Any, text: str) -> tuple[Style, str]:
    """How a text on the screen is drawn, and the line that it is in."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if text in segment.text:
                return segment.style, "".join(one.text for one in strip)
    raise AssertionError(f"no {text!r} in\n{screen_text(app)}")


async def open_log(pilot: Pilot[Any]) -> None:
    await loaded(pilot)
    await pilot.press("6")
    await loaded(pilot)


async def test_levels_have_their_look_and_their_letter(live: recordings.Builder) -> None:
    write(live)
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_log(pilot)
        for text, role, letter in (
            ("the script", "text", " "),
            (INFO, "dim", "I"),
            (WARNING, "library warning", "W"),
            (ERROR, "text", "E"),
        ):
            style, line = looks(app, text)
            assert style.color == palette.style(role).color, text
            assert line.partition(text)[0].endswith(f" {letter} "), line
        bar, _ = looks(app, "10%|#   | 1/9")
        assert bar.color is None, "the script's own part of a row stays as it was"


async def test_l_leaves_out_more_and_then_nothing(live: recordings.Builder) -> None:
    write(live)
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_log(pilot)
        assert " l levels " in screen_text(app)
        every = [INFO, WARNING, ERROR, "the script", "1/9", "2/9"]
        for hides, gone in (
            (("info",), [INFO]),
            (("info", "warning"), [INFO, WARNING]),
            (LEVELS, [INFO, WARNING, ERROR]),
            ((), []),
        ):
            await pilot.press("l")
            await until(pilot, lambda hides=hides: app.snapshot.log.hides == hides)
            await pilot.pause()
            text = screen_text(app)
            assert {one for one in every if one not in text} == set(gone)
            assert (HIDING[hides] in text.splitlines()[2]) == bool(hides)
            assert (f"{len(gone)} line" in text.splitlines()[2]) == bool(hides)


async def test_what_is_left_out_stays_so_on_the_overview(live: recordings.Builder) -> None:
    write(live)
    app = app_on(live)
    async with app.run_test(size=(200, 50)) as pilot:
        await open_log(pilot)
        await pilot.press("l", "escape")
        await until(pilot, lambda: app.snapshot.log.hides == ("info",))
        await loaded(pilot)
        assert "beware" in screen_text(app)
        assert "oneDNN" not in screen_text(app)


async def test_scrolled_back_the_view_stays_at_its_place(live: recordings.Builder) -> None:
    for number in range(300):
        live.now_ns += recordings.S
        live.add_output(b"own %d\r\n" % number + INFO.encode() + b"\r\n" * (1 + number % 2))
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_log(pilot)
        await pilot.press("pageup", "pageup", "pageup")
        first = app.screen.query_one(Log)._drawn.lines  # type: ignore[union-attr]
        at = app.screen.query_one(Log)._start(app.snapshot.log, 0)  # type: ignore[union-attr]
        own = next(line.text for line in first[at:] if line.level is None and line.text)
        await pilot.press("l")
        await until(pilot, lambda: app.snapshot.log.hides == ("info",))  # type: ignore[union-attr]
        await pilot.pause()
        assert own in "\n".join(screen_text(app).splitlines()[3:6])


async def test_a_log_of_nothing_but_library_lines_says_why_it_is_empty(
    tmp_path: Any,
) -> None:
    builder = recordings.Builder(
        tmp_path / "run.fwtop", recordings.Spec(state="running", log=False)
    )
    builder.add_output(INFO.encode() + b"\r\n")
    app = app_on(builder)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_log(pilot)
        await pilot.press("l")
        await until(pilot, lambda: "No library info, 1 line hidden; l shows" in screen_text(app))
    builder.close()


async def test_the_palette_has_it_from_everywhere(finished: Any) -> None:
    app = FwtopApp(finished)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        commands = {one.title for one in app.get_system_commands(app.screen)}
        assert "Log levels" in commands
        await app.run_action("log_levels")
        await until(pilot, lambda: app.snapshot.log.hides == ("info",))  # type: ignore[union-attr]
        await until(pilot, lambda: "log: no library info" in screen_text(app))
        await pilot.press("6")
        await loaded(pilot)
        assert isinstance(app.screen, FULL_SCREENS["log"])
        assert app.snapshot is not None
        assert app.snapshot.log is not None
        assert app.snapshot.log.hides == ("info",)


def test_the_round_comes_back_to_where_it_began() -> None:
    hides = ()
    for _ in HIDING:
        hides = next_hiding(hides)
    assert hides == ()
    assert next_hiding(("fatal",)) == ()


async def test_the_overview_has_the_letters_too(live: recordings.Builder) -> None:
    write(live)
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "it went wrong" in screen_text(app))
        for text, letter in (
            ("the script", " "),
            ("oneDNN", "I"),
            ("tensorflow/core", "W"),
            ("wrong", "E"),
        ):
            _, line = looks(app, text)
            assert line.startswith(f"│ {letter} "), line


async def test_on_the_full_screen_no_line_is_cut(live: recordings.Builder) -> None:
    """A progress bar is as wide as the script's terminal, and its rate is at the end."""
    live.add_output(b"\r\n" + b"#" * 92 + b"| 12/27 [9.9it/s]\r\nbelow\r\n")
    app = app_on(live)
    async with app.run_test(size=(100, 30)) as pilot:
        await open_log(pilot)
        await until(pilot, lambda: "below" in screen_text(app))
        lines = screen_text(app).splitlines()
        (bar,) = (number for number, line in enumerate(lines) if "#####" in line)
        assert lines[bar + 1].strip("│ ").endswith("12/27 [9.9it/s]")
        assert "below" in lines[bar + 2]


@given(
    st.lists(st.text(st.characters(exclude_categories=("C",)), max_size=60), max_size=20),
    st.integers(20, 90), st.integers(1, 12), st.booleans(),
)  # fmt: skip
def test_rows_lose_no_letter_and_fill_the_width(
    texts: list[str], width: int, height: int, full: bool
) -> None:
    lines = [LogLine(10**9, ((text, "text"),)) for text in texts]
    drawn = LogRows.of(lines, width, full, "")
    for line in lines:
        rows = drawn.of_line(line)
        assert {width_of(row) for row in rows} == {width}
        if full:
            shown = "".join(text for row in rows for text, look in row if look == "text")
            assert shown.replace(" ", "") == line.text.replace(" ", "")
    for rows in (drawn.first(lines, height), drawn.last(lines, height)):
        assert len(rows) == min(height, sum(len(drawn.of_line(line)) for line in lines))
    assert 0 <= drawn.whole(lines, height) <= len(lines)
    end = lines[len(lines) - drawn.whole_at_end(lines, height) :]
    assert sum(len(drawn.of_line(line)) for line in end) <= height or len(end) == 1
