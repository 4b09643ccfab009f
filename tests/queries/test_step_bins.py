"""Bins summed in SQL are what the single steps add up to, through rollups or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.queries import step_bins, steps
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import Recording, open_recording
from tests import recordings

ALL_NS = 1 << 60


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path = tmp_path_factory.mktemp("bins") / "run.fwtop"
    return open_recording(recordings.build(path, steps=700))


@pytest.mark.parametrize("bin_ns", [500_000_000, 3 * recordings.S, ROLLUP_NS, 3 * ROLLUP_NS])
def test_bins_add_up_to_the_steps(recording: Recording, bin_ns: int) -> None:
    every = steps.latest_steps(recording, 10_000)
    found = step_bins.binned(recording, 0, ALL_NS, bin_ns)
    assert [entry.bin for entry in found] == sorted({s.start_ns // bin_ns for s in every})
    for entry in found:
        own = [step for step in every if step.start_ns // bin_ns == entry.bin]
        assert entry.count == len(own)
        assert entry.duration_sum_ns == sum(step.duration_ns for step in own)
        assert entry.duration_max_ns == max(step.duration_ns for step in own)
        assert entry.forward_sum_ns == sum(step.forward_ns or 0 for step in own)
        assert entry.samples_sum == sum(step.samples or 0 for step in own)


def test_a_stretch_holds_the_steps_that_begin_in_it(recording: Recording) -> None:
    start, end = 21 * recordings.S, 34 * recordings.S
    every = steps.latest_steps(recording, 10_000)
    own = [step for step in every if start <= step.start_ns < end]
    found = step_bins.binned(recording, start, end, recordings.S)
    assert sum(entry.count for entry in found) == len(own) > 0
    longest = sorted(own, key=lambda step: -step.duration_ns)
    assert step_bins.slowest(recording, start, end, 5) == longest[:5]


def test_no_steps_no_bins(tmp_path: Path) -> None:
    with open_recording(recordings.build(tmp_path / "run.fwtop", steps=0)) as recording:
        assert step_bins.binned(recording, 0, ALL_NS, recordings.S) == []
        assert step_bins.slowest(recording, 0, ALL_NS, 5) == []
