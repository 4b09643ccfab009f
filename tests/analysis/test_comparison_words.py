"""Ratios and intervals as a reader sees them."""

from __future__ import annotations

from fwtop.analysis.comparison.model import Interval
from fwtop.analysis.comparison.words import interval_text, percent, points_text, signed_percent


def test_ratios_have_the_digits_that_they_are_worth() -> None:
    assert [percent(ratio) for ratio in (0.0062, 0.041, -0.2, 1.2, 66.5)] == [
        "0.62 %", "4.1 %", "20.0 %", "120 %", "6,650 %",
    ]  # fmt: skip
    assert [signed_percent(ratio) for ratio in (0, 0.041, -0.0062)] == ["0 %", "+4.1 %", "-0.62 %"]


def test_intervals_of_shares_are_in_points_of_the_figure_itself() -> None:
    assert interval_text(Interval(-0.012, 0.041)) == "95 % CI -1.2 to 4.1 %"
    assert interval_text(None) == "no interval"
    assert points_text(Interval(0.1, 0.5), before=0.4) == "+4.0 to +20.0 pt"
    assert points_text(Interval(-0.1, 0.05), before=0.8) == "-8.0 to +4.0 pt"
