from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.sketch import RELATIVE_ERROR, Sketch

durations = st.integers(min_value=0, max_value=(1 << 63) - 1)


def sketch_of(values: list[int]) -> Sketch:
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(st.lists(durations, min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_one_percent_of_the_exact_one(values: list[int], ratio: float) -> None:
    exact = sorted(values)[int(ratio * (len(values) - 1))]
    got = sketch_of(values).quantile(ratio)
    assert got is not None
    # 1e-9: the floating-point error of the logarithm at 2^63.
    assert abs(got - exact) <= exact * (RELATIVE_ERROR + 1e-9) + 0.5


@given(st.lists(durations), st.lists(durations))
def test_merging_is_the_same_as_adding_all(one: list[int], two: list[int]) -> None:
    merged = sketch_of(one)
    merged.merge(sketch_of(two))
    assert merged == sketch_of(one + two)
    assert merged.count == len(one) + len(two)


@given(st.lists(durations), st.lists(durations))
def test_subtracting_is_the_same_as_never_having_added(one: list[int], two: list[int]) -> None:
    sketch = sketch_of(one + two)
    sketch.subtract(sketch_of(two))
    assert sketch == sketch_of(one)


@given(st.lists(durations))
def test_adding_many_is_the_same_as_adding_each(values: list[int]) -> None:
    sketch = Sketch()
    sketch.add_many(values)
    assert sketch == sketch_of(values)


@given(st.lists(durations))
def test_bytes_bring_back_the_same_sketch(values: list[int]) -> None:
    sketch = sketch_of(values)
    assert Sketch.from_bytes(sketch.to_bytes()) == sketch


@given(st.binary(max_size=64))
def test_hostile_bytes_raise_value_error_or_make_a_usable_sketch(data: bytes) -> None:
    try:
        sketch = Sketch.from_bytes(b"\x01" + data)
    except ValueError:
        return
    assert Sketch.from_bytes(sketch.to_bytes()) == sketch
    assert (sketch.quantile(0.5) is None) == (sketch.count == 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02\x00",
        b"\x01",
        b"\x01\x01\x05",
        b"\x01\x00\x00",  # something after the end
        b"\x01\x02\x05\x01\x00\x01",  # the same slot twice
        b"\x01\x01\x05\x00",  # a slot that counts nothing
        b"\x01\x01\xff\x7f\x01",  # a slot past the last
        b"\x01\x01\x05" + b"\xff" * 12,
        b"\x01" + b"\xff" * 30_000,
    ],
)
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_bytes(data)


def test_no_value_has_no_quantile() -> None:
    assert Sketch().quantile(0.5) is None


def test_what_is_out_of_range_is_counted_at_the_ends() -> None:
    sketch = sketch_of([-5, 1 << 80])
    assert sketch.quantile(0) == 0
    assert sketch.quantile(1) == pytest.approx(1 << 63, rel=0.011)


def test_a_sketch_of_every_slot_stays_small() -> None:
    sketch = Sketch()
    sketch.add_many(int(1.005**power) for power in range(8_700))
    assert len(sketch.to_bytes()) < 24_000
