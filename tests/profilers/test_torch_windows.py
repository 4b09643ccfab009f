"""Trace windows of a real PyTorch in a real process, collected as the recorder would."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fwtop_profilers import wire
from tests.profilers.collector import Collector, run

pytestmark = pytest.mark.torch

TRAINING = """
import sys, torch
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(*[torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.ReLU())
                              for _ in range(5)])
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, foreach=False)
def steps(count):
    for _ in range(count):
        optimizer.zero_grad()
        loss = model(torch.ones(4, 16)).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def train(collector: Collector, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    script = collector.folder / "train.py"
    script.write_text(TRAINING + code)
    result = run(collector, [str(script)], collector.environment(**environ))
    assert result.returncode == 0, result.stderr
    assert collector.messages("ProbeFailure") == []
    return result


def reading(collector: Collector) -> list[dict[str, Any]]:
    """Take each trace's file away once it is told of, as the recorder does."""
    traces: list[dict[str, Any]] = []
    seen: set[str] = set()

    def read() -> None:
        for window in collector.messages("Window"):
            path = Path(window["path"])
            if window["path"] not in seen and path.exists():
                seen.add(window["path"])
                traces.append({**json.loads(path.read_text()), "window": window})
                path.unlink()

    def watch() -> None:
        while not done.wait(0.005):
            read()
        read()

    done = threading.Event()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    reading.stop = lambda: (done.set(), thread.join())  # type: ignore[attr-defined]
    return traces


def stop_reading() -> None:
    reading.stop()  # type: ignore[attr-defined]


def kinds(collector: Collector) -> set[str]:
    return {kind for peer in collector.kinds() for kind in peer}


def operators(trace: dict[str, Any]) -> Counter[str]:
    return Counter(event["name"] for event in trace["traceEvents"] if event.get("cat") == "cpu_op")


def in_step(trace: dict[str, Any], at: int) -> Counter[str]:
    """The operators that began within the traced step number `at`."""
    window = trace["window"]
    base = trace.get("baseTimeNanoseconds", 0) - window["anchor_unix_ns"]
    start = window["step_start_ns"][at] - window["anchor_monotonic_ns"]
    end = start + window["step_duration_ns"][at]
    return Counter(
        event["name"]
        for event in trace["traceEvents"]
        if event.get("cat") == "cpu_op" and start <= event["ts"] * 1000 + base < end
    )


def test_windows_hold_exactly_the_operators_of_their_steps(collector: Collector) -> None:
    traces = reading(collector)
    train(collector, "steps(400)", FWTOP_OVERHEAD="1")
    stop_reading()
    assert len(traces) >= 3
    later = [trace for trace in traces if trace["window"]["first_step"] >= 3]
    for trace in later:
        window = trace["window"]
        assert (window["format"], window["deep"]) == ("kineto", False)
        counts = operators(trace)
        steps = window["step_count"]
        assert counts["aten::addmm"] == 5 * steps
        assert counts["aten::relu"] == 5 * steps
        assert counts["aten::mse_loss"] == 0
        assert counts["autograd::engine::evaluate_function: AddmmBackward0"] == 5 * steps
        assert counts["Optimizer.step#SGD.step"] in (0, steps)
        assert sum((in_step(trace, at) for at in range(steps)), Counter()) == counts
        assert window["size_bytes"] > 1000
        assert set(window["span_phase"]) >= {"forward", "backward", "optimizer"}


def test_the_first_window_is_not_counted_and_the_governor_reports(collector: Collector) -> None:
    traces = reading(collector)
    train(collector, "steps(400)", FWTOP_OVERHEAD="1")
    stop_reading()
    windows = collector.messages("Window")
    assert [window["counted"] for window in windows][:2] == [False, True]
    report = collector.messages("Governor")[-1]
    assert report["windows"] == len(windows) - 1 == len(traces) - 1
    assert report["budget_ratio"] == 1.0
    assert 0 < report["cost_ns"] <= report["elapsed_ns"] * 1.5
    traced = {row["index"] for row in collector.steps() if row["flags"] & wire.STEP_TRACED}
    for window in windows:
        assert (
            set(range(window["first_step"], window["first_step"] + window["step_count"])) <= traced
        )


def test_a_budget_of_zero_traces_nothing(collector: Collector) -> None:
    train(collector, "steps(200)", FWTOP_OVERHEAD="0")
    assert collector.messages("Window") == []
    assert collector.messages("Governor")[-1]["cost_ns"] == 0


def test_nothing_is_printed_and_losses_are_equal(collector: Collector) -> None:
    code = "print([steps(1) for _ in range(200)])"
    script = collector.folder / "plain.py"
    script.write_text(TRAINING + code)
    plain = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    for deep in ("0", "1"):
        under = train(collector, code, FWTOP_OVERHEAD="1", FWTOP_DEEP=deep)
        assert (under.stdout, under.stderr) == (plain.stdout, plain.stderr)
        for window in collector.messages("Window"):
            Path(window["path"]).unlink(missing_ok=True)
    assert collector.messages("Window")


def test_a_deep_window_has_shapes_stacks_modules_and_memory(collector: Collector) -> None:
    traces = reading(collector)
    train(collector, "steps(300)", FWTOP_OVERHEAD="1", FWTOP_DEEP="1")
    stop_reading()
    deep = [trace for trace in traces if trace["window"]["deep"]]
    assert len(deep) == 1
    events = deep[0]["traceEvents"]
    shaped = [e for e in events if e["name"] == "aten::addmm" and "Input Dims" in e["args"]]
    assert shaped[0]["args"]["Input Dims"][1] == [4, 16]
    python = [e["name"] for e in events if e.get("cat") == "python_function"]
    assert any(name.startswith("nn.Module: Linear") for name in python)
    assert any("train.py" in name and "steps" in name for name in python)
    assert any(e["name"] == "[memory]" for e in events)


def test_a_capture_on_demand_opens_whatever_the_budget(collector: Collector) -> None:
    ready = "print('ready', flush=True)\nwhile not input_there(): steps(1)\nsteps(20)"
    code = "import os\ninput_there = lambda: os.path.exists('go')\nsteps(5)\n" + ready
    script = collector.folder / "train.py"
    script.write_text(TRAINING + code)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=collector.environment(FWTOP_OVERHEAD="0"),
        cwd=collector.folder,
    )
    collector.wait_for(lambda: "Steps" in kinds(collector), "steps")
    collector.peers[0].send("Capture", deep=True, steps=2)
    collector.wait_for(lambda: "Window" in kinds(collector), "a window")
    collector.peers[0].send("SetBudget", ratio=0.5)
    collector.wait_for(
        lambda: any(
            m["type"] == "Governor" and m["body"]["budget_ratio"] == 0.5
            for peer in collector.peers
            for m in peer.messages
        ),
        "the new budget",
    )
    (collector.folder / "go").touch()
    assert process.wait(60) == 0
    first = collector.messages("Window")[0]
    assert (first["deep"], first["step_count"], first["counted"]) == (True, 2, True)
    assert collector.messages("ProbeFailure") == []


def test_with_nobody_reading_the_folder_does_not_fill(collector: Collector) -> None:
    train(collector, "steps(1500)", FWTOP_OVERHEAD="1")
    left = list(collector.folder.glob("*.json*"))
    assert 1 <= len(left) <= 4
    assert len(collector.messages("Window")) == len(left)
    waiting = collector.messages("Governor")[-1]["waiting_for"]
    assert "recorder" in waiting


USERS_PROFILER = """
from torch.profiler import ProfilerActivity, profile, schedule
tables = []
with profile(activities=[ProfilerActivity.CPU],
             schedule=schedule(wait=5, warmup=1, active=2, repeat=3),
             on_trace_ready=lambda p: tables.append(
                 sorted((e.key, e.count) for e in p.key_averages()
                        if e.key.startswith('aten::')))) as p:
    for _ in range(60):
        steps(1)
        p.step()
print(tables)
with torch.autograd.profiler.profile() as p:
    steps(3)
print(sorted((e.key, e.count) for e in p.key_averages() if e.key.startswith('aten::')))
with torch.autograd.profiler.profile() as p:
    steps(2)
    try:
        with torch.autograd.profiler.profile():
            steps(1)
    except RuntimeError as error:
        print('as ever:', str(error).splitlines()[0])
steps(6000)
"""
THEIR_STEPS = 50, 50 + 60 + 3 + 2 + 1
"""From the first step under their profilers to the first one after them."""


def test_the_scripts_own_profiler_wins(collector: Collector) -> None:
    script = collector.folder / "plain.py"
    script.write_text(TRAINING + "steps(50)\n" + USERS_PROFILER)
    plain = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert plain.returncode == 0
    traces = reading(collector)
    under = train(collector, "steps(50)\n" + USERS_PROFILER, FWTOP_OVERHEAD="1")
    stop_reading()
    assert under.stdout == plain.stdout
    assert _lines(under.stderr) == _lines(plain.stderr)
    firsts = [trace["window"]["first_step"] for trace in traces]
    begin, end = THEIR_STEPS
    assert min(firsts) < begin
    assert max(firsts) >= end
    assert collector.messages("WindowFailed") == []
    reasons = {report["waiting_for"] for report in collector.messages("Governor")}
    assert "the script's own profiler" in reasons


def _lines(stderr: str) -> list[str]:
    """Without Kineto's times and process ids."""
    return [line.split("] ", 1)[-1] for line in stderr.splitlines()]


def test_a_fork_within_a_window_leaves_the_child_alone(collector: Collector) -> None:
    code = """
import os
for _ in range(60):
    steps(1)
    pid = os.fork()
    if pid == 0:
        steps(2)
        os._exit(7 if torch.autograd._profiler_enabled() else 0)
    assert os.waitpid(pid, 0)[1] == 0
steps(200)
"""
    reading(collector)
    train(collector, code, FWTOP_OVERHEAD="1")
    stop_reading()
    assert collector.messages("Window")


def test_windows_pause_for_evaluation(collector: Collector) -> None:
    code = """
import torch.utils.data as data
numbers = data.TensorDataset(torch.ones(64, 16))
for _ in range(600):  # seconds: four windows wait for the recorder, told of twice in one
    for (batch,) in data.DataLoader(numbers, batch_size=8):
        optimizer.zero_grad(); model(batch).square().mean().backward(); optimizer.step()
    with torch.no_grad():
        for (batch,) in data.DataLoader(numbers, batch_size=8):
            model(batch).softmax(1)
"""
    traces = reading(collector)
    train(collector, code, FWTOP_OVERHEAD="1")
    stop_reading()
    assert len(traces) >= 5
    evaluated = [trace["window"] for trace in traces[2:] if operators(trace)["aten::softmax"]]
    assert evaluated == []
