"""How a command that has something to tidy away is ended by a signal: as by Ctrl-C, in order.

A closed terminal (SIGHUP) and a plain `kill` (SIGTERM) end a Python process on the spot, and what
it had made for the moment would stay.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

ENDINGS = (signal.SIGTERM, signal.SIGHUP)


class Ended(SystemExit):
    """A signal asked for the end. A SystemExit: event loops let those through, and no handler of
    errors takes them."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, the signals raise Ended in the main thread; those that are ignored stay so."""

    def end(number: int, frame: object) -> NoReturn:
        raise Ended(number)

    before = {number: signal.getsignal(number) for number in ENDINGS}
    for number in ENDINGS:
        if before[number] is not signal.SIG_IGN:  # nohup, or a shell's background job
            signal.signal(number, end)
    try:
        yield
    finally:
        for number in ENDINGS:
            signal.signal(number, before[number])


@contextmanager
def held_back() -> Iterator[None]:
    """Within, signals wait, Ctrl-C too: for what must not be left half done. Keep it short.

    They are handlers and no mask: a signal that another thread takes would pass a mask.
    """
    arrived: list[int] = []
    numbers = (*ENDINGS, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])
        for first in arrived[:1]:
            os.kill(os.getpid(), first)
