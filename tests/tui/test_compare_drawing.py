"""What the comparison's screens compute before they draw."""

from __future__ import annotations

from fwtop.tui.compare.frames import axis_of, histogram, title_of
from fwtop.tui.compare.picture import head


def test_the_axis_holds_nearly_all_steps_and_the_histogram_counts_them() -> None:
    plots = [list(range(100, 200)), [*range(300, 399), 100_000]]
    low, high = axis_of(plots)
    assert low < 101
    assert 398 < high < 1000
    counts = histogram(plots[0], low, high, 10)
    assert sum(counts) == 100
    assert counts[-1] == 0
    assert axis_of([[5], [5]])[0] < 5 < axis_of([[5], [5]])[1]


def test_stalls_do_not_press_the_others_into_one_column() -> None:
    low, high = axis_of([[*range(100, 200), *[5000] * 5]])
    assert low < 101
    assert 200 < high < 600


def test_a_head_that_has_no_room_keeps_its_letter_and_its_end() -> None:
    assert head("A kineto-diff-control", 11) == "A …-control"
    assert head("B base", 11) == "B base"


def test_a_file_is_named_after_the_runs() -> None:
    assert title_of(None) == "comparison.md"
