"""Stages of an input pipeline: sums against a walk by brute force, and whom a wait is for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwtop.analysis.input_stages import input_stages, last, waits, worst
from fwtop.analysis.results import InputStage
from fwtop.traces.model import ANNOTATION, InputEvent, TraceWindow, Track

PATHS = ("Prefetch", "Prefetch::Map", "Prefetch::Map::Shuffle", "Batch", "Batch::Zip::Range")


def _stages(*events: InputEvent) -> dict[str, tuple[int, int, int]]:
    found = input_stages(TraceWindow(0, input_events=list(events)))
    return {stage.path: (stage.calls, stage.self_ns, stage.total_ns) for stage in found}


def _totals(**total_ns: int) -> list[InputStage]:
    return [InputStage(path.replace("__", "::"), 1, 0, total) for path, total in total_ns.items()]


def test_self_is_without_the_stages_nested_on_the_same_thread() -> None:
    found = _stages(
        InputEvent(1, "Batch", 0, 100),
        InputEvent(1, "Batch::Map", 10, 30),
        InputEvent(1, "Batch::Map", 50, 20),
        InputEvent(2, "Batch::Map", 60, 10),
    )
    assert found == {"Batch": (1, 50, 100), "Batch::Map": (3, 60, 60)}


def test_a_stage_within_itself_is_one_call() -> None:
    cache = InputEvent(1, "MemoryCache", 0, 100), InputEvent(1, "MemoryCache", 5, 90)
    assert _stages(*cache, InputEvent(1, "MemoryCache::Map", 10, 60)) == {
        "MemoryCache": (1, 40, 100),
        "MemoryCache::Map": (1, 60, 60),
    }


def test_a_data_loader_is_one_stage() -> None:
    loader = "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"
    track = Track(3, ["aten::add", loader], [0, 10], [5, 20], bytearray([0, ANNOTATION]))
    assert input_stages(TraceWindow(0, [track])) == (InputStage("DataLoader", 1, 20, 20),)


@st.composite
def _nested(draw: st.DrawFn, start: int = 0, end: int = 400, depth: int = 3) -> list[InputEvent]:
    events: list[InputEvent] = []
    at = start
    while at < end and draw(st.booleans()):
        at = draw(st.integers(at, end - 1))
        stop = draw(st.integers(at + 1, end))
        events.append(InputEvent(1, draw(st.sampled_from(PATHS)), at, stop - at))
        if depth and stop - at > 1:
            events += draw(_nested(at, stop, depth - 1))
        at = stop
    return events


@given(_nested(), st.randoms(use_true_random=False))
def test_self_times_cover_each_moment_once(events: list[InputEvent], random: object) -> None:
    """Whatever the order in the file, a moment is the innermost stage's, and no other's."""
    covered = {
        at for event in events for at in range(event.start_ns, event.start_ns + event.duration_ns)
    }
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = _stages(*shuffled)
    assert sum(self_ns for _, self_ns, _ in found.values()) == len(covered)
    for path, (_, self_ns, total_ns) in found.items():
        own = {
            at
            for event in events
            if event.path == path
            for at in range(event.start_ns, event.start_ns + event.duration_ns)
        }
        assert total_ns == len(own)
        assert 0 <= self_ns <= total_ns


@pytest.mark.parametrize(
    ("totals", "slowest"),
    [
        # A prefetch is waited for because the map below it, on another thread, is slow.
        (_totals(Prefetch=90, Prefetch__Map=95, Prefetch__Map__Shuffle=5), "Prefetch::Map"),
        # The same, where the source is slow and the parallel map only waits for it.
        (_totals(Prefetch=90, Prefetch__Map=92, Prefetch__Map__Range=91), "Prefetch::Map::Range"),
        # The map took longer than the window, so that only its name is there.
        (_totals(Prefetch=90, Prefetch__Map__Shuffle=5), "Prefetch::Map"),
        # Nothing works ahead: all on one thread.
        (_totals(Batch=90, Batch__Map=80, Batch__Map__Shuffle=10), "Batch::Map"),
        # One of two branches.
        (_totals(Zip=90, Zip__Map=80, Zip__Range=10), "Zip::Map"),
        (_totals(Prefetch=90), "Prefetch"),
    ],
)  # fmt: skip
def test_whom_a_wait_is_for(totals: Sequence[InputStage], slowest: str) -> None:
    blame = waits(totals)
    assert max(blame, key=blame.__getitem__) == slowest
    assert sum(blame.values()) == 90


_part = st.sampled_from(("Prefetch", "Map", "Batch", "Shuffle", "Zip"))


@given(
    st.dictionaries(
        st.lists(_part, min_size=1, max_size=5).map("::".join), st.integers(0, 10**12), max_size=12
    )
)
def test_the_blame_adds_up_to_the_wait(totals: dict[str, int]) -> None:
    stages = [InputStage(path, 1, 0, total) for path, total in totals.items()]
    blame = waits(stages)
    assert all(value >= 0 for value in blame.values())
    assert blame.keys() >= totals.keys()
    assert sum(blame.values()) == sum(total for path, total in totals.items() if last(path) == path)


@pytest.mark.parametrize(
    ("blame", "steps", "step_ns", "path"),
    [
        ({"Map": 50, "Batch": 5}, 10, 100.0, "Map"),  # 5 ns of 100 a step
        ({"Map": 49, "Batch": 5}, 10, 100.0, None),
        ({"Map": 50}, 10, None, None),
        ({"Map": 0}, 10, 100.0, None),
        ({}, 10, 100.0, None),
        ({"Map": 50}, 0, 100.0, None),
    ],
)
def test_a_stage_is_pointed_at_where_its_wait_matters(
    blame: dict[str, int], steps: int, step_ns: float | None, path: str | None
) -> None:
    assert worst(blame, steps, step_ns) == path
