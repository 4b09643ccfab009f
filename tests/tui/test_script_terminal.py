from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwtop.tui.script_screen import MAX_SEQUENCE
from fwtop.tui.script_terminal import SCREEN_LINES, LogLine, ScriptTerminal


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


def test_each_row_of_a_wrapped_line_has_its_time() -> None:
    terminal = ScriptTerminal(20, screen_lines=3)
    terminal.feed(b"x" * 90, 7)
    assert [line.at_ns for line in terminal.lines()] == [7] * 5


def test_what_comes_before_the_first_whole_line_is_dropped_if_the_start_is_missing() -> None:
    terminal = ScriptTerminal(80)
    terminal.skip_line()
    terminal.feed(b"31mhalf", 1)
    terminal.feed(b" a line\nwhole\n", 1)
    assert _texts(terminal) == ["whole"]


def test_the_oldest_lines_go_and_are_counted() -> None:
    terminal = ScriptTerminal(80, keep=10)
    terminal.feed(b"".join(b"%d\n" % number for number in range(100)), 1)
    assert terminal.dropped.total() == 100 - SCREEN_LINES + 1 - 10
    assert _texts(terminal)[-1] == "99"


def test_broken_bytes_do_not_break_the_view() -> None:
    terminal = ScriptTerminal(40)
    terminal.feed(b"\xff\xfe ok \x1b]0;title\x07\x1b[999;999H\x1b[?25l\x00", 1)
    assert any("ok" in text for text in _texts(terminal))


LINES = st.lists(st.text(alphabet="abc xyz019.=", max_size=70), min_size=60, max_size=400)


@settings(deadline=None)
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


INFO = b"I0000 00:00:1795424203.332617   25320 port.cc:153] oneDNN custom operations are on."
WARNING = b"2026-11-22 10:11:12.345678: W tensorflow/core/util/port.cc:153] beware"


def _marks(terminal: ScriptTerminal) -> list[tuple[str | None, str, str]]:
    def text(part: list[Any]) -> str:
        return "".join(text for text, _ in part)

    return [(line.level, text(line.parts[0]), text(line.parts[1])) for line in terminal.lines()]


def test_a_librarys_lines_have_its_level() -> None:
    terminal = ScriptTerminal(200)
    terminal.feed(b"start\r\n" + INFO + b"\r\n" + WARNING + b"\r\nend\r\n", 1)
    assert _marks(terminal) == [
        (None, "start", ""),
        ("info", "", INFO.decode()),
        ("warning", "", WARNING.decode()),
        (None, "end", ""),
    ]


@pytest.mark.parametrize("columns", [20, 33, 47, 80])
@pytest.mark.parametrize("after", [0, 1, 60])
def test_a_line_that_is_wrapped_is_one_line(columns: int, after: int) -> None:
    """Also where its rows have scrolled off before it ended, and where its prefix is broken."""
    terminal = ScriptTerminal(columns, screen_lines=4)
    terminal.feed(b"own\n" + INFO + b"\nown again\n" + b"x\n" * after, 1)
    shown = _marks(terminal)
    rows = -(-len(INFO) // columns)
    assert shown[0] == (None, "own", "")
    assert [level for level, _, _ in shown[1 : rows + 1]] == ["info"] * rows
    assert "".join(text.ljust(columns) for _, _, text in shown[1 : rows + 1]).rstrip() == (
        INFO.decode()
    )
    assert shown[rows + 1] == (None, "own again", "")


def test_a_bar_keeps_its_own_part_where_a_library_writes_behind_it() -> None:
    """As tqdm's bar, which is drawn anew from the row's start, with no line feed."""
    terminal = ScriptTerminal(120)
    for step in range(1, 4):
        terminal.feed(b"\r %d0%%|###       | %d/10" % (step, step), step)
        if step == 2:
            terminal.feed(INFO + b"\n", step)
    assert _marks(terminal) == [
        ("info", " 20%|###       | 2/10", INFO.decode()),
        (None, " 30%|###       | 3/10", ""),
    ]
    assert terminal.lines()[0].own == LogLine(2, ((" 20%|###       | 2/10", "text"),))
    assert terminal.lines()[0].hidden_as is None


def test_a_bar_that_is_wrapped_keeps_its_own_part() -> None:
    terminal = ScriptTerminal(30, screen_lines=5)
    terminal.feed(b"\r %s 10/20" % (b"#" * 40) + INFO + b"\n" + b"x\n" * 9, 1)
    first, second, third = _marks(terminal)[:3]
    assert first == (None, " " + "#" * 29, "")
    assert second == ("info", "#" * 11 + " 10/20", INFO[:13].decode().rstrip())
    assert third[:2] == ("info", "")


def test_colours_of_a_librarys_line_are_its_own() -> None:
    terminal = ScriptTerminal(200)
    terminal.feed(b"\x1b[31m" + WARNING + b"\x1b[0m\n", 1)
    (line,) = terminal.lines()
    assert line.level == "warning"
    ((_, style),) = line.parts[1]
    assert style.color is not None  # type: ignore[union-attr]


def test_rows_that_go_are_counted_by_level() -> None:
    terminal = ScriptTerminal(120, keep=10)
    terminal.feed(b"".join(b"%d\n" % n + INFO + b"\n" for n in range(200)), 1)
    terminal.feed(b"bar" + INFO + b"\n" + b"x\n" * 100, 2)
    shown = terminal.lines()
    assert terminal.dropped["info"] == 200
    assert terminal.dropped.total() + len(shown) == 501


# --- any bytes -----------------------------------------------------------------------------------

SEQUENCES = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [b"\x1b[", b"\x1b]0;", b"\x9b", b"?", b";", b"5", b"99999", b"\xc2\xb2", b"\x07", b"\r",
             b"\n", b"\t", b"\x08", b"\x1b#8", b"\x1bM", b"\x1b7", b"\x1b8", b"\x1bc", b"\x1b[3;5r",
             b"\x1b[?3h", b"\x1b[2J", b"\x1b[9;9H", b"\xe4\xb8\xad", b"\xcc\x81", b"m", b"A", b"K",
             b"J", b"L", b"M", b"P", b"X", b"g", b"n", b"c", INFO, WARNING[:40]]
        ),
    ),
    max_size=30,
).map(b"".join)  # fmt: skip
SIZES = st.tuples(st.integers(0, 500), st.integers(0, 300))


@settings(deadline=None)
@given(SEQUENCES, SIZES, SEQUENCES)
def test_no_bytes_raise_at_any_size(before: bytes, size: tuple[int, int], after: bytes) -> None:
    terminal = ScriptTerminal(30, 50, 5)
    for piece in (before, after * 2):
        terminal.feed(piece, 1)
        for line in terminal.lines():
            assert 0 <= line.begins <= len(line.text)
        terminal.resize(*size, 2)
    terminal.feed(b"\x07\x07\x18\x18\x1bc\nstill here\n", 3)
    assert any("still here" in text for text in _texts(terminal))


def test_a_sequence_without_an_end_does_not_swallow_the_rest() -> None:
    terminal = ScriptTerminal(80)
    terminal.feed(b"\x1b]0;" + b"x" * MAX_SEQUENCE, 1)
    terminal.feed(b"more of it", 2)
    terminal.feed(b"\nseen\n", 3)
    assert "seen" in _texts(terminal)


@pytest.mark.parametrize("odd", [b"\x1b[?5A", b"\x1b[1;2;3C", b"\x1b[7J", b"\x1b[>4;1m"])
def test_what_follows_an_odd_sequence_is_shown(odd: bytes) -> None:
    terminal = ScriptTerminal(80)
    terminal.feed(b"one" + odd + b"\r\ntwo", 1)
    assert _texts(terminal) == ["one", "two"]


# --- another size --------------------------------------------------------------------------------


def test_a_narrower_terminal_breaks_lines_earlier_and_cuts_none() -> None:
    terminal = ScriptTerminal(60)
    terminal.feed(b"a" * 50 + b"\n", 1)
    terminal.resize(30, SCREEN_LINES, 2)
    terminal.feed(b"b" * 50, 2)
    assert _texts(terminal) == ["a" * 50, "b" * 30, "b" * 20]


def test_a_wider_terminal_breaks_lines_later() -> None:
    terminal = ScriptTerminal(30)
    terminal.feed(b"a" * 50 + b"\n", 1)
    terminal.resize(60, SCREEN_LINES, 2)
    terminal.feed(b"b" * 50, 2)
    assert _texts(terminal) == ["a" * 30, "a" * 20, "b" * 50]


def test_a_bar_that_became_shorter_leaves_nothing_of_the_longer_one() -> None:
    terminal = ScriptTerminal(60)
    terminal.feed(b"\r" + b"=" * 55, 1)
    terminal.resize(30, SCREEN_LINES, 2)
    terminal.feed(b"\r" + b"-" * 30, 2)
    assert _texts(terminal) == ["-" * 30]


def test_a_lower_terminal_keeps_what_scrolls_off() -> None:
    terminal = ScriptTerminal(80, screen_lines=10)
    terminal.feed(b"".join(b"%d\n" % number for number in range(8)), 1)
    terminal.resize(80, 4, 2)
    terminal.feed(b"8\n9\n\x1b[2Anine\n", 2)
    assert _texts(terminal) == ["0", "1", "2", "3", "4", "5", "6", "7", "nine", "9"]


def test_a_higher_terminal_lets_the_cursor_go_up_further() -> None:
    terminal = ScriptTerminal(80, screen_lines=3)
    terminal.feed(b"0\n", 1)
    terminal.resize(80, 10, 2)
    terminal.feed(b"1\n2\n3\n4\n\x1b[4Aone", 2)
    assert _texts(terminal) == ["0", "one", "2", "3", "4"]
