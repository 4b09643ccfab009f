from __future__ import annotations

import pytest
from rich.cells import cell_len

from fwtop.tui import charts, palette
from fwtop.tui.drawing import columns, ends, fill, fit, strip_of, width_of


@pytest.mark.parametrize("text", ["", "short", "a rather long name of an operator", "数据加载器"])
@pytest.mark.parametrize("width", [1, 5, 12])
@pytest.mark.parametrize("align", ["left", "right"])
def test_fit_is_exactly_as_wide_as_asked(text: str, width: int, align: str) -> None:
    assert cell_len(fit(text, width, align)) == width  # type: ignore[arg-type]


def test_fit_lets_no_control_character_through() -> None:
    assert fit("a\x1b[31m\nb\tc", 12) == "a [31m b c  "


def test_fit_keeps_the_end_of_a_path() -> None:
    assert fit("/home/me/train.py:42", 12, keep_end=True) == "…train.py:42"


def test_rows_are_cut_and_padded_to_the_width() -> None:
    assert width_of(fill([("abc", "text")], 10)) == 10
    assert fill([("abc", "text"), ("def", "dim")], 4) == [("abc", "text"), ("d", "dim")]
    assert strip_of([("数据", "text")], 3).cell_length == 3


def test_ends_drops_from_the_right_part_first() -> None:
    row = ends([("left part", "text")], [("first  ", "dim"), ("last", "dim")], 16)
    assert "".join(text for text, _ in row) == "left part   last"


def test_columns_stand_side_by_side() -> None:
    rows = columns([[[("a", "text")]], [[("b", "text")], [("c", "text")]]], [3, 3])
    assert ["".join(text for text, _ in row) for row in rows] == ["a    b  ", "     c  "]


def test_a_small_share_is_not_drawn_as_nothing() -> None:
    assert charts.bar(0.0001, 10)[0][0] == "▏"
    assert charts.bar(0, 10)[0][0] == ""
    assert charts.bar(None, 4) == [("····", "track")]
    assert charts.bar(1.7, 4)[0][0] == "████"


def test_sparkline_keeps_unknown_apart_from_least() -> None:
    assert charts.sparkline([None, 0.0, 4.0, 8.0], 5) == "  ▁▄█"


def test_stacked_bar_gives_every_part_a_cell_and_fills_the_width() -> None:
    parts = [("input", 0.001), ("forward", 1.0), ("backward", 2.0)]
    row = charts.stacked(parts, 30, lambda name, cells: name[:cells])
    assert width_of(row) == 30
    assert [role for _, role in row] == ["block input", "block forward", "block backward"]
    assert len(row[0][0]) == 1


def test_stacked_area_shows_parts_from_below() -> None:
    rows = charts.stacked_area([[("input", 2.0), ("forward", 2.0)], None], 4, 4.0)
    column = [row[0] for row in rows]
    assert [role for _, role in column] == ["phase forward"] * 2 + ["phase input"] * 2
    assert all(width_of(row) == 2 for row in rows)


def test_a_cell_of_two_parts_shows_both() -> None:
    ((text, role),) = charts.stacked_area([[("input", 1.0), ("forward", 1.0)]], 1, 2.0)[0]
    assert (text, role) == ("▄", "input over forward")
    palette.style(role)


def test_scales_are_round_and_ignore_lone_outliers() -> None:
    assert charts.nice_ceiling(101) == 120
    assert charts.nice_ceiling(100) == 100
    assert charts.nice_ceiling(0) == 1
    assert charts.usual_ceiling([100.0] * 20 + [5000.0]) == 150
    assert charts.usual_ceiling([]) == 1


def test_cut_out_replaces_cells_across_spans() -> None:
    row = charts.cut_out([("abc", "text"), ("def", "dim")], 2, "XY", "mark")
    assert "".join(text for text, _ in row) == "abXYef"
    assert ("XY", "mark") in row


def _luminance(red: float, green: float, blue: float) -> float:
    def linear(value: float) -> float:
        value /= 255
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


@pytest.mark.parametrize("number", palette.COLOURS)
def test_every_colour_reads_on_a_dark_and_on_a_light_ground(number: int) -> None:
    from rich.color import Color
    from rich.palette import Palette
    from rich.terminal_theme import DEFAULT_TERMINAL_THEME as THEME

    assert isinstance(THEME.ansi_colors, Palette)
    triplet = Color.from_ansi(number).get_truecolor(THEME)
    light = _luminance(*triplet)
    assert (light + 0.05) / 0.05 >= 3, "too dark for a dark ground"
    assert 1.05 / (light + 0.05) >= 3, "too light for a light ground"


def test_roles_use_only_the_colours_that_are_checked() -> None:
    for role in palette.ROLES:
        for colour in (palette.style(role).color, palette.style(role).bgcolor):
            assert colour is None or colour.number in palette.COLOURS, role
