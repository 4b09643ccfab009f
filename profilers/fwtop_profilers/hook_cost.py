"""What a hook costs, measured once in the process that pays for it."""

from __future__ import annotations

from typing import Callable

from fwtop_profilers.clock import now_ns

ROUNDS = 9
COLD_BYTES = 8 << 20
"""Copied before each round: hooks run after a step's work, which leaves little of them in the
caches. Measured in a loop they look twice as cheap as they are."""


def calibrate(rehearsal: Callable[[], None], calls: int) -> int:
    """Nanoseconds of one hook call, where `rehearsal` makes `calls` of them.

    The median of several rounds; about ten milliseconds in all, on the thread that asks.
    """
    cold = bytes(COLD_BYTES)
    took = []
    rehearsal()
    for _ in range(ROUNDS):
        bytearray(cold)
        begin = now_ns()
        rehearsal()
        took.append(now_ns() - begin)
    return sorted(took)[ROUNDS // 2] // calls
