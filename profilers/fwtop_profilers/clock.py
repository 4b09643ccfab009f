"""Monotonic nanoseconds with a wall anchor. The only place in the probe that reads a clock."""

from __future__ import annotations

import time
from typing import Tuple

NEVER_NS = 1 << 62

now_ns = time.monotonic_ns
"""CLOCK_MONOTONIC: the same in every process of one machine."""


def anchor() -> Tuple[int, int]:
    """(monotonic ns, unix ns) of one instant, to within the time of two clock reads."""
    before = time.monotonic_ns()
    unix = time.time_ns()
    after = time.monotonic_ns()
    return (before + after) // 2, unix
