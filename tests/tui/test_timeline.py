from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fwtop.tui import timeline
from fwtop.tui.collect import BIN_LENGTHS_NS, axis_of
from fwtop.tui.snapshot import Moment, TimeAxis, Wanted
from fwtop.tui.widgets.time_plot import along, column_of, spread

S = 1_000_000_000
WANTED = Wanted(span_ns=120 * S, columns=60)
NOW = Moment(1000 * S)


def test_bins_are_round_and_aligned_so_that_a_plot_moves_bin_by_bin() -> None:
    axis = axis_of(WANTED, NOW)
    assert axis.bin_ns in BIN_LENGTHS_NS
    assert axis.start_ns % axis.bin_ns == 0
    assert axis.end_ns >= NOW.now_ns > axis.end_ns - axis.bin_ns
    assert axis_of(WANTED, Moment(NOW.now_ns + 1)).start_ns - axis.start_ns in (0, axis.bin_ns)


def test_a_young_run_fills_the_plot_too() -> None:
    axis = axis_of(WANTED, Moment(12 * S))
    assert axis.end_ns - axis.start_ns <= 20 * S


def test_the_whole_of_a_finished_run_fills_the_plot() -> None:
    axis = axis_of(Wanted(span_ns=0, columns=50), Moment(137 * S), live=False)
    assert axis.start_ns == 0
    assert 137 * S <= axis.end_ns < 137 * S * 1.1


def test_the_cursor_goes_back_and_past_the_newest_bin_it_is_live() -> None:
    back = timeline.moved(WANTED, NOW, -3)
    assert back.cursor_ns is not None
    assert back.cursor_ns < NOW.now_ns
    assert timeline.moved(back, NOW, 10).cursor_ns is None
    assert timeline.moved(WANTED, NOW, 1) == WANTED
    assert timeline.moved(WANTED, NOW, -10_000).cursor_ns == 0


@given(st.integers(0, 1000), st.sampled_from(timeline.SPANS_NS), st.integers(10, 300))
def test_the_plot_follows_the_cursor(at_s: int, span_ns: int, columns: int) -> None:
    wanted = Wanted(span_ns=span_ns, columns=columns)
    placed = timeline.at(wanted, NOW, at_s * S)
    assert placed.cursor_ns is not None
    axis = axis_of(placed, NOW)
    assert axis.column(placed.cursor_ns) is not None
    assert column_of(axis, placed.cursor_ns, axis.count) is not None


def test_pausing_twice_goes_on() -> None:
    frozen = timeline.paused(WANTED, NOW)
    assert frozen.until_ns == NOW.now_ns
    assert timeline.paused(frozen, NOW) == WANTED


def test_zoom_ends_at_the_whole_run_and_at_a_minute() -> None:
    out = timeline.zoomed(timeline.zoomed(WANTED, NOW, 1), NOW, 1)
    for _ in range(9):
        out = timeline.zoomed(out, NOW, 1)
    assert out.span_ns == 0
    for _ in range(9):
        out = timeline.zoomed(out, NOW, -1)
    assert out.span_ns == timeline.SPANS_NS[0]


@given(st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_values_and_the_cursor_land_in_the_same_cell(count: int, columns: int, whole: bool) -> None:
    axis = TimeAxis(0, S, count, whole)
    for index in range(count):
        column = column_of(axis, index * S, columns)
        if column is None:
            continue
        values: list[float | None] = [None] * count
        values[index] = 1.0
        shown = spread(axis, values, columns)
        assert len(shown) == columns
        if 1.0 in shown:
            assert shown[column] == 1.0


class _Sample:
    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns


def test_short_gaps_between_samples_are_closed_and_long_ones_stay() -> None:
    axis = TimeAxis(0, S, 10)
    values = along(axis, [_Sample(0), _Sample(2 * S)], lambda sample: 1.0)
    assert values == [1.0] * 6 + [None] * 4  # three bins after the last sample
