"""What needs a GPU, against stand-ins of torch's: this tells that the bookkeeping is right, not
that CUDA is as the stand-ins have it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fwtop_profilers import wire
from fwtop_profilers.tape import Tape
from fwtop_profilers.torch import cuda_events, memory
from fwtop_profilers.torch.cuda_events import CudaEvents
from tests.profilers.step_script import EVAL, MS, Script


class Gpu:
    """A device that reaches an event `behind` nanoseconds after the host has recorded it."""

    def __init__(self) -> None:
        self.now = 0
        self.behind = 0
        self.initialized = True
        self.capturing = False
        self.made = 0
        gpu = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing
                gpu.made += 1
                self.at = -1

            def record(self) -> None:
                assert not gpu.capturing
                self.at = gpu.now + gpu.behind

            def query(self) -> bool:
                assert not gpu.capturing
                return gpu.now >= self.at

            def elapsed_time(self, end: Event) -> float:
                assert gpu.now >= max(self.at, end.at), "would raise: not reached yet"
                return (end.at - self.at) / 1e6

        self.torch: Any = SimpleNamespace(
            cuda=SimpleNamespace(
                Event=Event,
                is_initialized=lambda: self.initialized,
                is_current_stream_capturing=lambda: self.capturing,
            )
        )


class Failed:
    off = False

    def fail(self, error: BaseException) -> None:
        raise error


def training(monkeypatch: Any) -> tuple[Script, Gpu, CudaEvents]:
    gpu = Gpu()
    made: list[Script] = []

    def clock() -> int:
        gpu.now = made[0].now
        return made[0].now

    tape = Tape("auto", clock, lambda: 1)
    tape.wakes.append(lambda: 0)
    made.append(Script(tape))
    tape.optimizer_made()
    events = CudaEvents(gpu.torch, tape.steps, Failed())  # type: ignore[arg-type]
    events.install()
    return made[0], gpu, events


def test_device_phases_of_steps(monkeypatch: Any) -> None:
    run, _, events = training(monkeypatch)
    for _ in range(4):
        run.step(other=2)
    (message,) = events.drain()
    assert message.indices == [1, 2, 3]  # CUDA was found in use as step 0 ended
    assert message.phases["forward"] == [10 * MS] * 3
    assert message.phases["backward"] == [20 * MS] * 3
    assert message.phases["optimizer"] == [5 * MS] * 3
    assert message.phases["input"] == [MS] * 3
    assert message.duration_ns == [36 * MS, 38 * MS, 38 * MS]
    assert events.drain() == []


def test_a_gpu_that_lags_is_read_later_and_never_waited_for(monkeypatch: Any) -> None:
    run, gpu, events = training(monkeypatch)
    run.step()
    gpu.behind = 100 * MS
    for _ in range(3):
        run.step()
    assert events.drain() == []
    for _ in range(3):
        run.step()
    (message,) = events.drain()
    assert message.indices[0] == 1
    assert message.phases["backward"][0] == 20 * MS


def test_events_are_used_again(monkeypatch: Any) -> None:
    run, gpu, _ = training(monkeypatch)
    for _ in range(50):
        run.step()
    assert gpu.made < 20


def test_a_hopelessly_late_gpu_costs_bounded_memory(monkeypatch: Any) -> None:
    run, gpu, events = training(monkeypatch)
    run.step()
    gpu.behind = 10**15
    for _ in range(300):
        run.step()
    assert len(events._behind) <= cuda_events.MAX_BEHIND
    assert events.drain() == []


def test_nothing_is_recorded_within_a_graph_capture(monkeypatch: Any) -> None:
    run, gpu, events = training(monkeypatch)
    run.step()
    gpu.capturing = True
    run.step()
    gpu.capturing = False
    run.step()
    run.step()
    (message,) = events.drain()
    assert 3 in message.indices


def test_evaluation_holds_no_events(monkeypatch: Any) -> None:
    run, gpu, events = training(monkeypatch)
    run.step()
    for _ in range(500):
        run.fetch(key=EVAL, grad=False)
    assert gpu.made < 10
    run.step()
    run.step()
    (message,) = events.drain()
    assert message.phases["forward"] == [10 * MS] * 2


def test_cuda_is_left_alone_until_the_script_uses_it(monkeypatch: Any) -> None:
    run, gpu, events = training(monkeypatch)
    gpu.initialized = False
    for _ in range(5):
        run.step()
    assert (gpu.made, events.drain()) == (0, [])


STATS = {
    "allocated_bytes.all.current": 5, "reserved_bytes.all.current": 8,
    "active_bytes.all.current": 6, "allocated_bytes.all.peak": 7,
    "reserved_bytes.all.peak": 9, "num_alloc_retries": 1, "num_ooms": 2,
}  # fmt: skip


def test_memory_of_the_devices_in_use() -> None:
    stats: dict[int, dict[str, int]] = {0: {}, 1: STATS}
    torch: Any = SimpleNamespace(
        cuda=SimpleNamespace(
            is_initialized=lambda: True, device_count=lambda: 2, memory_stats=stats.__getitem__
        )
    )
    (reading,) = memory.readings(torch)
    assert (reading.device, reading.allocated_bytes, reading.reserved_peak_bytes) == (
        "cuda:1",
        5,
        9,
    )
    torch.cuda.is_initialized = lambda: False
    assert memory.readings(torch) == []


def test_out_of_memory_says_what_was_held() -> None:
    observers: list[Any] = []
    frames = [
        {"filename": "/env/torch/nn/linear.py", "line": 3, "name": "forward"},
        {"filename": "/home/me/train.py", "line": 12, "name": "step"},
    ]
    big = {"state": "active_allocated", "size": 100, "frames": frames}
    small = {"state": "active_allocated", "size": 30}
    free = {"state": "inactive", "size": 10**6}
    segments = [
        {"device": 0, "blocks": [small, big, big, free]},
        {"device": 1, "blocks": [{**big, "size": 10**9}]},
    ]
    torch: Any = SimpleNamespace(
        _C=SimpleNamespace(_cuda_attach_out_of_memory_observer=observers.append),
        cuda=SimpleNamespace(memory=SimpleNamespace(_snapshot=lambda: {"segments": segments})),
    )
    sent: list[wire.OutOfMemory] = []
    assert memory.watch_for_oom(torch, sent.append)
    observers[0](0, 512, 1000, 10)
    assert sent[0].device == "cuda:0"
    assert "512" in sent[0].message
    assert sent[0].holders == [
        {"size_bytes": 100, "count": 2, "where": "/home/me/train.py:12 step"},
        {"size_bytes": 30, "count": 1, "where": ""},
    ]
    wire.encode(sent[0])


def test_an_observer_never_raises() -> None:
    def broken(message: Any) -> None:
        raise ValueError

    observers: list[Any] = []
    torch: Any = SimpleNamespace(
        _C=SimpleNamespace(_cuda_attach_out_of_memory_observer=observers.append), cuda=None
    )
    memory.watch_for_oom(torch, broken)
    observers[0](0, 1, 2, 3)
    assert not memory.watch_for_oom(SimpleNamespace(_C=SimpleNamespace()), broken)  # type: ignore[arg-type]
