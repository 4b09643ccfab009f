"""Unions and intersections of time intervals, as sorted lists of (start, end)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Interval = tuple[int, int]
_END = 1 << 70
_NOTHING = (_END, _END)
"""Stands after the last interval: later than any time."""


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time as disjoint intervals in order; those that touch become one."""
    merged: list[Interval] = []
    first = last = None
    for start, end in sorted(intervals):
        if last is None or first is None:
            first, last = start, end
        elif start > last:
            merged.append((first, last))
            first, last = start, end
        elif end > last:
            last = end
    if last is not None and first is not None:
        merged.append((first, last))
    return merged


def length(disjoint: Iterable[Interval]) -> int:
    """The length of disjoint intervals: U(·) of a union."""
    return sum(end - start for start, end in disjoint)


def intersection(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    """What two lists of disjoint, ordered intervals have in common."""
    common: list[Interval] = []
    ones, others = iter(one), iter(other)
    begin, end = next(ones, _NOTHING)
    first, last = next(others, _NOTHING)
    while begin < _END and first < _END:
        start = begin if begin > first else first
        if end < last:
            if start < end:
                common.append((start, end))
            begin, end = next(ones, _NOTHING)
        else:
            if start < last:
                common.append((start, last))
            first, last = next(others, _NOTHING)
    return common


def difference(one: Iterable[Interval], other: Iterable[Interval]) -> list[Interval]:
    """What of `one` is not in `other`; both disjoint and in order."""
    left: list[Interval] = []
    others = iter(other)
    first, last = next(others, _NOTHING)
    for start, end in one:
        while last <= start:
            first, last = next(others, _NOTHING)
        while first < end:
            if first > start:
                left.append((start, first))
            start = last
            if last > end:
                break
            first, last = next(others, _NOTHING)
        if start < end:
            left.append((start, end))
    return left
