"""Rates from counters that only grow."""

from __future__ import annotations


class CounterRate:
    """Increase a second of a counter, from two readings and the time that really passed."""

    __slots__ = ("_at_ns", "_value")

    def __init__(self) -> None:
        self._value: float | None = None
        self._at_ns = 0

    def update(self, value: float | None, at_ns: int) -> float | None:
        """The rate since the last reading.

        None after the first one, where no time has passed, and where the counter fell: it was reset
        or its device was replaced, and how far it went in between cannot be known.
        """
        last, last_at_ns = self._value, self._at_ns
        self._value, self._at_ns = value, at_ns
        if value is None or last is None or at_ns <= last_at_ns or value < last:
            return None
        return (value - last) * 1e9 / (at_ns - last_at_ns)


def whole(rate: float | None) -> int | None:
    """A rate as the recording keeps it."""
    return None if rate is None else round(rate)
