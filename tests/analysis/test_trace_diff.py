from __future__ import annotations

import pytest

from fwtop.traces.kineto import read
from fwtop.traces.model import TraceWindow
from tests.analysis.trace_diff import Work, counts, device_work, differences, host_work
from tests.shared_traces import DIFF_CONTROL, DIFF_TEST, shared_trace


def test_device_operators_of_an_iteration_differ_as_hta_says() -> None:
    control = device_work(read(shared_trace(DIFF_CONTROL)), 1010)
    test = device_work(read(shared_trace(DIFF_TEST)), 1010)
    rows = differences(control, test)
    assert counts(rows) == {
        "added": 27, "deleted": 66, "increased": 15, "decreased": 9, "unchanged": 84,
    }  # fmt: skip
    assert sum(row.total_ns for row in rows) == (
        sum(work.total_ns for work in test) - sum(work.total_ns for work in control)
    )
    assert [abs(row.total_ns) for row in rows] == sorted(
        (abs(row.total_ns) for row in rows), reverse=True
    )


def test_iterations_add_up_to_the_trace() -> None:
    trace = read(shared_trace(DIFF_CONTROL))
    for work_of in (device_work, host_work):
        whole = {work.name: work.calls for work in work_of(trace)}
        parts: dict[str, float] = {}
        for iteration in range(1009, 1015):
            for work in work_of(trace, iteration):
                parts[work.name] = parts.get(work.name, 0) + work.calls
        assert all(parts[name] <= whole[name] for name in parts)
        assert sum(parts.values()) > 0.99 * sum(whole.values())


def test_each_way_of_changing() -> None:
    control = [Work("gone", 1, 5), Work("more", 1, 1), Work("less", 2.5, 9), Work("same", 3, 3)]
    test = [Work("new", 1, 7), Work("more", 2, 2), Work("less", 2, 8), Work("same", 3, 30)]
    rows = differences(control, test)
    assert [(row.name, row.change, row.calls, row.total_ns) for row in rows] == [
        ("same", "unchanged", 0, 27), ("new", "added", 1, 7), ("gone", "deleted", -1, -5),
        ("less", "decreased", -0.5, -1), ("more", "increased", 1, 1),
    ]  # fmt: skip


def test_an_iteration_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        device_work(TraceWindow(0), 7)
