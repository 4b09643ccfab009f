"""Memory over a window: thinning and the holders at the peak, against accounts by brute force."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.memory_timeline import (
    BEFORE,
    MOST_POINTS,
    UNKNOWN_HOLDER,
    held_at_end,
    memory_timeline,
    thinned,
)
from fwtop.analysis.nesting import Nest
from fwtop.traces.model import LAUNCH, OPERATOR, MemoryEvent, TraceWindow, Track

LINES = st.lists(st.tuples(st.integers(0, 500), st.integers(-(10**12), 10**12)), max_size=200)


def _track(*rows: tuple[str, int, int], kinds: bytes = b"") -> Track:
    names, starts, durations = zip(*rows, strict=True)
    kinds = kinds or bytes([OPERATOR] * len(rows))
    return Track(1, list(names), list(starts), list(durations), bytearray(kinds))


def _holders(track: Track, *events: MemoryEvent) -> dict[str, int]:
    _, holders = memory_timeline(TraceWindow(0, [track], memory_events=list(events)), [Nest(track)])
    return {holder.operator: holder.bytes for holder in holders}


@given(LINES, st.integers(2, 40))
def test_thinning_keeps_the_highest_point_and_the_bound(
    line: list[tuple[int, int]], most: int
) -> None:
    line.sort(key=lambda point: point[0])
    found = thinned(line, most)
    assert len(found) <= most
    assert len({at for at, _ in found}) == len(found)
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    assert set(found) <= set(line)
    if line:
        assert max(held for _, held in found) == max(held for _, held in line)
        assert {found[0][0], found[-1][0]} <= {at for at, _ in line}
        assert found[-1][0] == line[-1][0]


def test_a_long_line_is_thinned() -> None:
    line = [(at, at % 977) for at in range(50_000)]
    found = thinned(line)
    assert MOST_POINTS / 2 <= len(found) <= MOST_POINTS


@st.composite
def _histories(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """(operator, address, bytes) of what is taken, and ("", address, -bytes) of what goes back."""
    live: dict[int, int] = {}
    history: list[tuple[str, int, int]] = []
    for number in range(draw(st.integers(0, 60))):
        give_back: bool = draw(st.booleans())
        if live and give_back:
            address = draw(st.sampled_from(sorted(live)))
            history.append(("", address, -live.pop(address)))
        else:
            address, size = 64 * (number + 1), draw(st.integers(1, 1_000))
            live[address] = size
            history.append((draw(st.sampled_from("abc")), address, size))
    return history


@given(_histories())
def test_holders_at_the_peak_are_those_of_the_addresses_still_taken(
    history: list[tuple[str, int, int]],
) -> None:
    rows = [(name or "free", 10 * at, 10) for at, (name, _, _) in enumerate(history)]
    held = 0
    sums = [held := held + size for _, _, size in history]
    events = [
        MemoryEvent(1, 10 * at + 5, size, False, address=address)
        for at, (_, address, size) in enumerate(history)
    ]
    if not rows:
        return
    found = _holders(_track(*rows), *events)
    peak = sums.index(max(sums)) if max(sums) > 0 else -1
    live: dict[int, tuple[str, int]] = {}
    for name, address, size in history[: peak + 1]:
        if size > 0:
            live[address] = name, size
        else:
            del live[address]
    expected: dict[str, int] = {}
    for name, size in live.values():
        expected[name] = expected.get(name, 0) + size
    assert found == expected
    assert sum(found.values()) == max(0, *sums)


def test_without_addresses_the_newest_of_the_size_goes_first() -> None:
    events = [MemoryEvent(1, at, size, False) for at, size in enumerate((8, 8, 16, -8, 64))]
    assert held_at_end(events, ["a", "b", "c", "", "d"]) == {"a": 8, "c": 16, "d": 64}


def test_an_address_taken_again_was_given_back_unseen() -> None:
    events = [MemoryEvent(1, at, 8, False, address=64) for at in range(3)]
    assert held_at_end(events, ["a", "b", "c"]) == {"c": 8}
    points, _ = memory_timeline(TraceWindow(0, memory_events=events), [])
    assert [point.allocated_bytes for point in points] == [8, 8, 8]


def test_an_allocation_is_of_the_operator_that_wanted_it() -> None:
    track = _track(
        ("aten::relu", 0, 100), ("aten::empty", 10, 20), ("cudaMalloc", 12, 5),
        ("aten::empty", 200, 10), kinds=bytes([OPERATOR, OPERATOR, LAUNCH, OPERATOR]),
    )  # fmt: skip
    found = _holders(
        track,
        MemoryEvent(1, 13, 8, False, address=1),
        MemoryEvent(1, 205, 4, False, address=2),
        MemoryEvent(9, 205, 2, False, address=3, operator="model/dense/Relu_12"),
        MemoryEvent(9, 206, 1, False, address=4),
    )
    assert found == {"aten::relu": 8, "aten::empty": 4, "Relu": 2, UNKNOWN_HOLDER: 1}


def test_what_was_held_before_comes_from_the_allocator_s_own_account() -> None:
    events = [
        MemoryEvent(1, 1, 100, True, 1, 2, allocated_bytes=1_100, allocator="bfc"),
        MemoryEvent(1, 2, -300, True, 7, 2, allocated_bytes=800, allocator="bfc"),
        MemoryEvent(1, 3, 250, True, 2, 2, allocated_bytes=1_050, allocator="bfc"),
        MemoryEvent(1, 4, 90, True, 3, 2, allocated_bytes=1_140, allocator="bfc"),
    ]
    points, holders = memory_timeline(TraceWindow(0, memory_events=events), [])
    assert {(point.device, point.allocated_bytes) for point in points} == {
        ("cuda:2", 100), ("cuda:2", -200), ("cuda:2", 50), ("cuda:2", 140),
    }  # fmt: skip
    assert {h.operator: h.bytes for h in holders} == {UNKNOWN_HOLDER: 440, BEFORE: 700}


def test_devices_and_the_window_s_start_are_told_apart() -> None:
    track = _track(("a", 1_000, 100))
    events = [MemoryEvent(1, 1_010, 8, False), MemoryEvent(1, 1_020, 4, True)]
    points, holders = memory_timeline(TraceWindow(0, [track], memory_events=events), [Nest(track)])
    assert [(p.device, p.offset_ns, p.allocated_bytes) for p in points] == [
        ("cpu", 10, 8), ("cuda:0", 20, 4),
    ]  # fmt: skip
    assert [(h.device, h.operator, h.bytes) for h in holders] == [
        ("cpu", "a", 8), ("cuda:0", "a", 4),
    ]  # fmt: skip
