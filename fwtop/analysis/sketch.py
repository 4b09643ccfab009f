"""A mergeable quantile sketch of durations.

Owns the buckets and their bytes in `step_rollups.sketch`; knows nothing of steps or tables.

The idea is DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", VLDB 2019): slot `i` counts the values in (γ^(i-1), γ^i] with
γ = (1 + α) / (1 - α), so that the slot's middle is within α of everything in it. Slots are fixed,
so merging adds counts and is the same as having added all values to one sketch. Values are
nanoseconds below 2^63: that bounds a sketch to 2,185 slots, and nothing is ever collapsed.

Bytes: version (1), then varints (LEB128): number of slots, and for each, ascending, the slot's
distance from the one before and its count. A rollup of steps of one kind takes 10 to 100 bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import ceil, exp, log

RELATIVE_ERROR = 0.01
"""Of a quantile's value, besides half a nanosecond of rounding."""

_VERSION = 1
_MAX_VALUE_NS = (1 << 63) - 1
_MAX_COUNT = (1 << 63) - 1
_LOG_GAMMA = log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))
_SCALE = 1 / _LOG_GAMMA
_MIDDLE = 1 - RELATIVE_ERROR
"""γ^i times this is the value with the least relative error in slot i: 2γ^i / (γ + 1)."""
_MAX_SLOT = 1 + ceil(log(_MAX_VALUE_NS) * _SCALE)
_MAX_BYTES = 4 + (_MAX_SLOT + 1) * (2 + 9)


class Sketch:
    """Counts of durations in logarithmic slots. Slot 0 is "0 ns or less", slot 1 is 1 ns."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def add(self, value_ns: int) -> None:
        """Count one duration in ns; what is negative counts as 0, what passes 2^63 as 2^63."""
        slot = _slot(value_ns)
        self._counts[slot] = self._counts.get(slot, 0) + 1

    def add_many(self, values_ns: Iterable[int]) -> None:
        """Count many durations in ns: the same as `add` for each, at half its cost."""
        for slot, count in Counter(map(_slot, values_ns)).items():
            self._counts[slot] = self._counts.get(slot, 0) + count

    def merge(self, other: Sketch) -> None:
        """Add another sketch's values to this one."""
        counts = self._counts
        for slot, count in other._counts.items():
            counts[slot] = counts.get(slot, 0) + count

    def subtract(self, other: Sketch) -> None:
        """Take out values that were added before; what was never there is not taken."""
        counts = self._counts
        for slot, count in other._counts.items():
            left = counts.get(slot, 0) - count
            if left > 0:
                counts[slot] = left
            else:
                counts.pop(slot, None)

    @property
    def count(self) -> int:
        """How many values it holds."""
        return sum(self._counts.values())

    def quantile(self, ratio: float) -> int | None:
        """The value in ns at `ratio` (0..1) of the sorted values; None if there are none.

        It is the lower quantile: the value of rank floor(ratio * (count - 1)), from 0.
        """
        if not self._counts:
            return None
        rank = min(1.0, max(0.0, ratio)) * (self.count - 1)
        seen = 0
        slot = 0
        for slot in sorted(self._counts):
            seen += self._counts[slot]
            if seen > rank:
                break
        return _value(slot)

    def values(self) -> list[tuple[int, int]]:
        """Each slot's value in ns with its count, ascending."""
        return [(_value(slot), self._counts[slot]) for slot in sorted(self._counts)]

    def to_bytes(self) -> bytes:
        """The sketch as bytes, at most 24 KB."""
        out = bytearray((_VERSION,))
        _append_varint(out, len(self._counts))
        last = 0
        for slot in sorted(self._counts):
            _append_varint(out, slot - last)
            _append_varint(out, self._counts[slot])
            last = slot
        return bytes(out)

    @classmethod
    def from_bytes(cls, data: bytes) -> Sketch:
        """A sketch from `to_bytes`; raises ValueError for anything else."""
        if not data or data[0] != _VERSION:
            raise ValueError("not a sketch, or one of a newer version")
        if len(data) > _MAX_BYTES:
            raise ValueError(f"a sketch of {len(data)} bytes is longer than any can be")
        slots, *numbers = _varints(data[1:])
        if len(numbers) != 2 * slots:
            raise ValueError("a sketch's length is wrong")
        sketch = cls()
        slot = 0
        for step, count in zip(numbers[::2], numbers[1::2], strict=True):
            slot += step
            if slot > _MAX_SLOT or count < 1 or slot in sketch._counts:
                raise ValueError("a sketch's slots are out of range or out of order")
            sketch._counts[slot] = count
        if sketch.count > _MAX_COUNT:
            raise ValueError("a sketch's count is out of range")
        return sketch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Sketch(count={self.count}, median={self.quantile(0.5)})"


def _slot(value_ns: int) -> int:
    if value_ns <= 0:
        return 0
    if value_ns > _MAX_VALUE_NS:
        return _MAX_SLOT
    return 1 + ceil(log(value_ns) * _SCALE)


def _value(slot: int) -> int:
    if slot == 0:
        return 0
    return min(_MAX_VALUE_NS, round(exp((slot - 1) * _LOG_GAMMA) * _MIDDLE))


def _append_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _varints(data: bytes) -> list[int]:
    """The numbers of at most 63 bits in `data`, at least one. Most take one byte."""
    numbers: list[int] = []
    value = shift = 0
    for byte in data:
        if byte < 0x80:
            numbers.append(value | byte << shift if shift else byte)
            value = shift = 0
        else:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift >= 63:
                raise ValueError("a number in a sketch is too long")
    if shift or not numbers:
        raise ValueError("a sketch ends in the middle of a number")
    return numbers
