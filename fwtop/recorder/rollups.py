"""Sums and sketches of steps by stretch of time, kept for the stretches that still change.

Owns the arithmetic of `step_rollups`; the writer loads and stores the rows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from fwtop.analysis.sketch import Sketch

PHASES = ("input", "h2d", "forward", "backward", "optimizer")
OPEN_BUCKETS = 64
"""Buckets in memory, over all processes; what falls out is loaded again if a late step needs it."""

Row = tuple[object, ...]


@dataclass(slots=True)
class Bucket:
    """One row of `step_rollups` in the making."""

    first_index: int
    count: int = 0
    duration_sum_ns: int = 0
    duration_min_ns: int = 0
    duration_max_ns: int = 0
    phase_sums: list[int | None] = field(default_factory=lambda: [None] * len(PHASES))
    samples_sum: int | None = None
    flagged: int = 0
    sketch: Sketch = field(default_factory=Sketch)

    def add(self, step: Row) -> None:
        """Count one row of `steps` (its columns in order)."""
        index, duration = _int(step[1]), _int(step[3])
        if self.count == 0:
            self.first_index, self.duration_min_ns, self.duration_max_ns = index, duration, duration
        self.first_index = min(self.first_index, index)
        self.count += 1
        self.duration_sum_ns += duration
        self.duration_min_ns = min(self.duration_min_ns, duration)
        self.duration_max_ns = max(self.duration_max_ns, duration)
        for number in range(len(PHASES)):
            self.phase_sums[number] = _sum(self.phase_sums[number], step[4 + number])
        self.flagged += step[9] != 0
        self.samples_sum = _sum(self.samples_sum, step[10])
        self.sketch.add(duration)

    def columns(self) -> Row:
        """The row's columns after its key."""
        return (
            self.first_index, self.count, self.duration_sum_ns, self.duration_min_ns,
            self.duration_max_ns, *self.phase_sums, self.samples_sum, self.flagged,
            self.sketch.to_bytes(),
        )  # fmt: skip

    @classmethod
    def of(cls, row: Row) -> Bucket:
        """A bucket from the columns after the key."""
        sums = [None if value is None else _int(value) for value in row[:12]]
        first, count, total, least, most, *phases = sums[:10]
        return cls(
            first or 0, count or 0, total or 0, least or 0, most or 0, phases,
            sums[10], sums[11] or 0, Sketch.from_bytes(_bytes(row[12])),
        )  # fmt: skip


class Rollups:
    """The buckets that changed since the last `take`."""

    def __init__(self, load: Callable[[int, int], Row | None], bucket_ns: int) -> None:
        self._load = load
        self._bucket_ns = bucket_ns
        self._open: OrderedDict[tuple[int, int], Bucket] = OrderedDict()
        self._changed: set[tuple[int, int]] = set()

    def add(self, step: Row) -> None:
        """Count one row of `steps` in its bucket."""
        key = (_int(step[0]), _int(step[2]) // self._bucket_ns)
        bucket = self._open.get(key)
        if bucket is None:
            stored = self._load(*key)
            bucket = Bucket.of(stored) if stored is not None else Bucket(_int(step[1]))
            self._open[key] = bucket
        bucket.add(step)
        self._changed.add(key)

    def rows(self) -> list[Row]:
        """The rows to store."""
        return [(*key, *self._open[key].columns()) for key in sorted(self._changed)]

    def stored(self) -> None:
        """The rows are in the recording: forget what is unlikely to change any more."""
        self._changed.clear()
        while len(self._open) > OPEN_BUCKETS:
            self._open.popitem(last=False)


def _sum(total: int | None, value: object) -> int | None:
    if value is None:
        return total
    return (total or 0) + _int(value)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
