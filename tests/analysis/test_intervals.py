from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.intervals import Interval, difference, intersection, length, union

lists = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda pair: (pair[0], sum(pair))),
    max_size=12,
)


def moments(intervals: list[Interval]) -> set[int]:
    return {at for start, end in intervals for at in range(start, end)}


@given(lists)
def test_union(some: list[Interval]) -> None:
    merged = union(some)
    assert moments(merged) == moments(some)
    assert length(merged) == len(moments(some))
    assert all(one[1] < two[0] for one, two in pairwise(merged))


@given(lists, lists)
def test_intersection_and_difference(some: list[Interval], others: list[Interval]) -> None:
    one, other = union(some), union(others)
    assert moments(intersection(one, other)) == moments(one) & moments(other)
    assert moments(difference(one, other)) == moments(one) - moments(other)
    assert length(intersection(one, other)) + length(difference(one, other)) == length(one)


def test_nothing() -> None:
    assert union([]) == []
    assert intersection([], [(0, 1)]) == []
    assert difference([(0, 1)], []) == [(0, 1)]
