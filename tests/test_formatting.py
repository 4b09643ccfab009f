from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop import formatting as f
from fwtop.analysis.comparison.model import UNITS


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [
        (None, "–"),
        (0, "0 ns"),
        (987, "987 ns"),
        (999.6, "1.00 µs"),
        (1_000, "1.00 µs"),
        (9_870_000, "9.87 ms"),
        (9_996_000, "10.0 ms"),
        (98_700_000, "98.7 ms"),
        (987_000_000, "987 ms"),
        (999_600_000, "1.00 s"),
        (12_340_000_000, "12.3 s"),
        (99_960_000_000, "1m 40s"),
        (125_000_000_000, "2m 05s"),
        (3_599_600_000_000, "1h 00m"),
        (11_520_000_000_000, "3h 12m"),
        (183_600_000_000_000, "2d 03h"),
        (-9_870_000, "-9.87 ms"),
    ],
)
def test_durations(value_ns: float | None, text: str) -> None:
    assert f.format_duration(value_ns) == text


@given(st.integers(0, 99_000_000_000))
def test_a_duration_below_100_s_has_at_most_four_characters_of_number(value_ns: int) -> None:
    number, _, unit = f.format_duration(value_ns).partition(" ")
    assert len(number) <= 4
    scale = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert float(number) * scale == pytest.approx(value_ns, rel=0.0051, abs=0.5)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (512, "512 B"),
        (1024, "1.00 KiB"),
        (1536, "1.50 KiB"),
        (25_125_558_681, "23.4 GiB"),
        (1 << 60, "1024 PiB"),
        (-1024, "-1.00 KiB"),
    ],
)
def test_bytes(size: int | None, text: str) -> None:
    assert f.format_bytes(size) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (None, "–"),
        (0, "0 %"),
        (0.00001, "<0.01 %"),
        (0.0012, "0.12 %"),
        (0.123, "12.3 %"),
        (0.9999, "100 %"),
        (1, "100 %"),
        (12.5, "1,250 %"),
        (-0.05, "-5.00 %"),
    ],
)
def test_ratios(ratio: float | None, text: str) -> None:
    assert f.format_ratio(ratio) == text


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_what_no_machine_measures_is_unknown(value: float) -> None:
    assert {f.format_figure(value, unit) for unit in UNITS} == {f.UNKNOWN}
    assert f.format_ratio(value) == f.format_ratio(1e308) == f.format_duration(value) == f.UNKNOWN


def test_rates_and_counts() -> None:
    assert f.format_rate(101.3, "steps") == "101 steps/s"
    assert f.format_rate(3230, "samples") == "3.23 k samples/s"
    assert f.format_rate(0.25) == "0.25 /s"
    assert f.format_rate(None, "steps") == "–"
    assert f.format_bytes_per_s(1536) == "1.50 KiB/s"
    assert f.format_count(1_234_567) == "1,234,567"
    assert f.format_short_count(999) == "999"
    assert f.format_short_count(1_234) == "1.23 k"
    assert f.plural(1, "step") == "1 step"
    assert f.plural(1200, "step") == "1,200 steps"
    assert f.plural(2, "process", "processes") == "2 processes"


def test_clocks_power_and_heat() -> None:
    assert f.format_hertz(1_410_000_000) == "1.41 GHz"
    assert f.format_hertz(810_000_000) == "810 MHz"
    assert f.format_watts(244.6) == "245 W"
    assert f.format_celsius(63) == "63 °C"
    assert {f.format_hertz(None), f.format_watts(None), f.format_celsius(None)} == {"–"}


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [(None, "–"), (0, "0:00:00"), (5_900_000_000, "0:00:05"), (93_780_000_000_000, "26:03:00")],
)
def test_times_of_the_run(at_ns: int | None, text: str) -> None:
    assert f.format_time_of_run(at_ns) == text


def test_width_counts_cells_and_not_characters() -> None:
    assert f.cell_width("abc") == 3
    assert f.cell_width("数据") == 4
    assert f.cell_width("e\u0301") == 1


def test_ellipses_keep_the_part_that_tells() -> None:
    assert f.ellipsis("convolution", 6) == "convo…"
    assert f.ellipsis("short", 6) == "short"
    assert f.ellipsis("数据加载", 4) == "数…"
    assert f.ellipsis_start("/home/user/train.py", 9) == "…train.py"
    assert f.ellipsis_middle("aten::convolution_backward", 11) == "aten:…kward"
    assert f.ellipsis("anything", 0) == ""


cuts = st.sampled_from([f.ellipsis, f.ellipsis_start, f.ellipsis_middle])


@given(st.text(), st.integers(0, 30), cuts)
def test_no_ellipsis_is_wider_than_asked(text: str, cells: int, cut) -> None:  # type: ignore[no-untyped-def]
    assert f.cell_width(cut(text, cells)) <= cells


@given(st.text(), st.integers(1, 30), st.booleans())
def test_padding_is_exact(text: str, cells: int, right: bool) -> None:
    assert f.cell_width(f.pad(text, cells, right=right)) == cells


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    assert f.printable("\x1b]0;title\x07 a\nb") == "�]0;title� a b"
    assert f.printable("数据 ok") == "数据 ok"


def test_a_moment_outside_the_calendar_is_unknown() -> None:
    assert f.format_moment(1 << 62) != ""
    assert f.format_moment(-(1 << 100)) == "–"
    assert f.format_moment(None) == "–"


def test_a_command_in_a_list_shows_its_script_without_the_folders() -> None:
    assert f.format_command(("/home/me/train.py", "--data", "/a/b.py")) == (
        "train.py --data /a/b.py"
    )
    assert f.format_command(("/usr/bin/torchrun", "--n", "2", "x/train.py")) == (
        "torchrun --n 2 train.py"
    )
    assert f.format_command(("\x1b[2J",)).isprintable()
    assert f.format_command(()) == ""
