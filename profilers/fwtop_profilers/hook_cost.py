"""What a hook costs, measured once in the process that pays for it."""

from __future__ import annotations

from typing import Callable

from fwtop_profilers.clock import now_ns

ROUNDS = 5
REPEATS = 40


def calibrate(rehearsal: Callable[[], None], calls: int) -> int:
    """Nanoseconds of one hook call, where `rehearsal` makes `calls` of them.

    The least of several rounds, because the machine is at other work too; about a millisecond.
    """
    best = 0
    for _ in range(ROUNDS):
        begin = now_ns()
        for _ in range(REPEATS):
            rehearsal()
        took = now_ns() - begin
        best = took if not best else min(best, took)
    return best // (REPEATS * calls)
