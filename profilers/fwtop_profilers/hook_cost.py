"""What a hook costs, measured once in the process that pays for it."""

from __future__ import annotations

from typing import Callable

from fwtop_profilers.clock import now_ns

ROUNDS = 7
COLD_BYTES = 4 << 20
"""Copied between any two boundaries, as a step's work lies between them, which leaves little of the
hooks in the caches. Measured in a loop they look several times as cheap as they are."""


class Work:
    """Stands for what the framework does between two boundaries; its own time is left out."""

    def __init__(self) -> None:
        self._cold = bytes(COLD_BYTES)
        self.took_ns = 0

    def __call__(self, *args: object) -> None:
        """Do it."""
        begin = now_ns()
        bytearray(self._cold)
        self.took_ns += now_ns() - begin


def calibrate(rehearsal: Callable[[Work], Callable[[], None]], calls: int) -> int:
    """Nanoseconds of one hook call, where what `rehearsal` returns makes `calls` of them.

    The median of several rounds; some 20 milliseconds in all, on the thread that asks.
    """
    work = Work()
    step = rehearsal(work)
    step()
    took = []
    for _ in range(ROUNDS):
        work()
        before = work.took_ns
        begin = now_ns()
        step()
        took.append(now_ns() - begin - (work.took_ns - before))
    return max(0, sorted(took)[ROUNDS // 2]) // calls
