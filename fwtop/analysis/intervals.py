"""Unions and intersections of time intervals, as sorted lists of (start, end)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Interval = tuple[int, int]


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
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            common.append((start, end))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return common


def difference(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    """What of `one` is not in `other`; both disjoint and in order."""
    left: list[Interval] = []
    j = 0
    for start, end in one:
        while j < len(other) and other[j][1] <= start:
            j += 1
        k = j
        while k < len(other) and other[k][0] < end:
            if other[k][0] > start:
                left.append((start, other[k][0]))
            start = max(start, other[k][1])
            k += 1
        if start < end:
            left.append((start, end))
    return left
