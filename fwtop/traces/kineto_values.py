"""Which values of a Kineto row make sense, and what is made of those that do not."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.traces.kineto_rows import Row
from fwtop.traces.model import LONGEST_NS, ThreadKey

MOST_BLOCKS = 1e12
LATEST_US = 4e15
"""The year 2096: a time beyond it is damage."""
LONGEST_US = LONGEST_NS / 1000
HEADROOM_US = 1_000_000_000
"""The axis begins this long before the file's first row, so that times are positive."""


def is_sound(row: Row) -> bool:
    """Whether its time and duration are some that a clock gives."""
    return 0 <= row.dur < LONGEST_US and abs(row.ts) < LATEST_US


def origin_us(rows: Sequence[Row]) -> int:
    """A whole microsecond from which this file's times count."""
    for row in rows:
        if row.ts and is_sound(row):
            return int(row.ts) - HEADROOM_US
    return 0


def sane(number: float | None, most: float) -> float | None:
    """A number from 0 to `most`; infinity and NaN come from a device unknown to Kineto."""
    return number if number is not None and 0 <= number <= most else None


def ratio(percent: float | None) -> float | None:
    """Percent as a ratio; None for what is no share."""
    return percent / 100 if percent is not None and 0 <= percent <= 100 else None


def stream_of(thread: ThreadKey, known: int | None) -> int:
    """Old traces name a device's threads `stream 7`; ROCm's has the number alone."""
    if known is not None:
        return known
    digits = str(thread).rpartition(" ")[2]
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 0
