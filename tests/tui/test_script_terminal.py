from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fwtop.tui.script_terminal import SCREEN_LINES, ScriptTerminal


def _texts(terminal: ScriptTerminal) -> list[str]:
    return [line.text for line in terminal.lines()]


def test_a_progress_bar_overwrites_itself() -> None:
    terminal = ScriptTerminal(80)
    terminal.feed(b"  5%|#    | 5/100\r 10%|##   | 10/100\r", 1)
    assert _texts(terminal) == [" 10%|##   | 10/100"]


def test_two_bars_above_each_other() -> None:
    terminal = ScriptTerminal(80)
    terminal.feed(b"outer 1\r\ninner 1\x1b[A\router 2\x1b[B\rinner 2", 1)
    assert _texts(terminal) == ["outer 2", "inner 2"]


def test_colours_are_kept_and_lines_carry_their_time() -> None:
    terminal = ScriptTerminal(80)
    terminal.feed(b"\x1b[1;31mboom\x1b[0m\r\n", 7)
    terminal.feed(b"next\r\n", 9)
    first, second = terminal.lines()
    (text, style) = first.spans[0]
    assert text == "boom"
    assert style.bold  # type: ignore[union-attr]
    assert (first.at_ns, second.at_ns) == (7, 9)


def test_times_stay_with_lines_that_scroll_off() -> None:
    terminal = ScriptTerminal(80)
    for number in range(3 * SCREEN_LINES):
        terminal.feed(f"line {number}\r\n".encode(), number)
    assert [line.at_ns for line in terminal.lines()] == list(range(3 * SCREEN_LINES))


def test_what_comes_before_the_first_whole_line_is_dropped_if_the_start_is_missing() -> None:
    terminal = ScriptTerminal(80)
    terminal.skip_line()
    terminal.feed(b"31mhalf", 1)
    terminal.feed(b" a line\nwhole\n", 1)
    assert _texts(terminal) == ["whole"]


def test_the_oldest_lines_go_and_are_counted() -> None:
    terminal = ScriptTerminal(80, keep=10)
    terminal.feed(b"".join(b"%d\n" % number for number in range(100)), 1)
    assert terminal.dropped == 100 - SCREEN_LINES + 1 - 10
    assert _texts(terminal)[-1] == "99"


def test_broken_bytes_do_not_break_the_view() -> None:
    terminal = ScriptTerminal(40)
    terminal.feed(b"\xff\xfe ok \x1b]0;title\x07\x1b[999;999H\x1b[?25l\x00", 1)
    assert any("ok" in text for text in _texts(terminal))


LINES = st.lists(st.text(alphabet="abc xyz019.=", max_size=70), min_size=60, max_size=400)


@given(LINES, st.text(alphabet="ab \r", max_size=30))
def test_the_short_way_round_the_emulator_shows_the_same(lines: list[str], before: str) -> None:
    data = "\r\n".join(lines).encode() * 2
    fast, slow = ScriptTerminal(50), ScriptTerminal(50)
    fast.feed(before.encode(), 1)
    slow.feed(before.encode(), 1)
    fast.feed(data, 2)
    for start in range(0, len(data), 997):
        slow.feed(data[start : start + 997].replace(b"\r\n", b"\n"), 2)
    assert _texts(fast) == _texts(slow)
