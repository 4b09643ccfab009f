"""Ratios and intervals of a comparison in words."""

from __future__ import annotations

from fwtop.analysis.comparison.model import Interval


def percent(ratio: float) -> str:
    """A ratio's size as `4.1 %`, `0.62 %`, `120 %`."""
    size = abs(ratio) * 100
    digits = 0 if size >= 99.5 else 1 if size >= 0.95 else 2
    return f"{size:,.{digits}f} %"


def signed_percent(ratio: float) -> str:
    """`+4.1 %`, `-0.62 %`, `0 %`."""
    return "0 %" if ratio == 0 else f"{'+' if ratio > 0 else '-'}{percent(ratio)}"


def interval_text(within: Interval | None) -> str:
    """`95 % CI -1.2 to 4.1 %`."""
    if within is None:
        return "no interval"
    return f"95 % CI {_signed(within.low).removesuffix(' %')} to {_signed(within.high)}"


def points_text(within: Interval, before: float) -> str:
    """The same of a figure that is a share itself, in percentage points: `+1.2 to +4.1 pt`."""
    low, high = (f"{end * before * 100:+.1f}" for end in (within.low, within.high))
    return f"{low} to {high} pt"


def _signed(ratio: float) -> str:
    """With a sign only below 0."""
    return ("-" if ratio < 0 else "") + percent(ratio)
