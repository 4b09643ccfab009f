"""Compile events of a real PyTorch, collected as the recorder would; the words, from samples."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fwtop_profilers import wire
from fwtop_profilers.torch import compile_text
from tests.profilers.collector import Collector, run

SCRIPT = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
    def forward(self, x):
        return self.linear(x).relu()

def broken(x):
    y = x.sin()
    print("within")
    return y.cos()

def scaled(x, n):
    return x * n

def grown(x, n):
    return x + n

torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, foreach=False)
compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
for size in (2, 2, 2):
    optimizer.zero_grad()
    loss = compiled(torch.ones(size, 4)).sum()
    loss.backward()
    optimizer.step()
torch.compile(broken, backend="eager")(torch.ones(3))
scale = torch.compile(scaled, backend="eager", dynamic=False)
scale(torch.ones(4), 1.5)
scale(torch.ones(5), 1.5)
dynamic = torch.compile(grown, backend="eager", dynamic=True)
dynamic(torch.ones(6), 2.5)
dynamic(torch.ones(7), 2.5)
from torch._dynamo.utils import counters, get_compilation_metrics
print({name: dict(count) for name, count in sorted(counters.items())})
print(sorted({str(m.compile_id) for m in get_compilation_metrics()}))
print(loss.item())
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.mark.torch
def test_compiles_breaks_and_recompiles_are_told_and_nothing_else_changes(
    collector: Collector,
) -> None:
    script = collector.folder / "train.py"
    script.write_text(SCRIPT)
    plain = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert plain.returncode == 0, plain.stderr
    under = run(collector, [str(script)], collector.environment(FWTOP_OVERHEAD="1"))
    assert (under.stdout, under.stderr) == (plain.stdout, plain.stderr)
    assert collector.messages("ProbeFailure") == []
    events = collector.messages("CompileEvent")
    latest = {event["key"]: event for event in events}

    compiles = [event for event in latest.values() if event["kind"] == "compile"]
    backward = [event for event in compiles if event["name"].endswith(" backward")]
    assert {event["function"] for event in backward} <= {"forward"}
    compiles = [event for event in compiles if event not in backward]
    assert [event["function"] for event in compiles][:2] == ["forward", "broken"]
    assert all(event["file"] == str(script) for event in compiles)
    assert all(event["duration_ns"] > 0 for event in compiles)
    forward = compiles[0]
    assert forward["line"] == SCRIPT[: SCRIPT.index("def forward")].count("\n") + 1
    assert forward["step_index"] == 0
    assert forward["detail"]["graph_ops"] >= 2
    assert forward["detail"]["guards"] > 0
    assert sum(event["function"] == "scaled" for event in compiles) == 2
    assert sum(event["function"] == "grown" for event in compiles) == 1

    phases = [event for event in latest.values() if event["kind"] == "phase"]
    assert {"trace bytecode", "backend"} <= {event["name"] for event in phases}
    for phase in phases:
        assert phase["parent_key"] in latest
        assert phase["start_ns"] >= latest[phase["parent_key"]]["start_ns"]
    firsts = [event["key"] for event in events if event["duration_ns"] is None]
    assert firsts.index(phases[0]["parent_key"]) < firsts.index(phases[0]["key"])

    (broken,) = [event for event in latest.values() if event["kind"] == "graph_break"]
    assert (broken["function"], broken["file"]) == ("broken", str(script))
    assert broken["line"] == SCRIPT[: SCRIPT.index('print("within")')].count("\n") + 1
    assert "print" in broken["reason"]

    recompiles = [event for event in latest.values() if event["kind"] == "recompile"]
    assert [event["function"] for event in recompiles] == ["scaled"]
    assert "'x' size mismatch at index 0: expected 4, actual 5" in recompiles[0]["reason"]

    flags = {row["index"]: row["flags"] for row in collector.steps()}
    assert flags[0] & wire.STEP_COMPILED
    assert not flags[1] & wire.STEP_COMPILED


@pytest.mark.torch
def test_cache_misses_then_hits(collector: Collector) -> None:
    script = collector.folder / "train.py"
    script.write_text(
        "import torch\nprint(torch.compile(lambda x: x.sin() + 1)(torch.ones(8)).sum().item())\n"
    )
    cache = str(collector.folder / "inductor")
    for expected in ("cache_miss", "cache_hit"):
        before = len(collector.messages("CompileEvent"))
        result = run(collector, [str(script)], collector.environment(TORCHINDUCTOR_CACHE_DIR=cache))
        assert result.returncode == 0, result.stderr
        kinds = {event["kind"] for event in collector.messages("CompileEvent")[before:]}
        assert expected in kinds


@pytest.mark.torch
def test_the_users_own_torch_trace_is_still_written(collector: Collector) -> None:
    script = collector.folder / "train.py"
    script.write_text(
        "import torch\ntorch.compile(lambda x: x.sin(), backend='eager')(torch.ones(8))\n"
    )
    kinds = []
    for name, environ in (("plain", None), ("under", {})):
        folder = collector.folder / name
        more = {"TORCH_TRACE": str(folder)}
        if environ is None:
            environment = {**collector.environment(**more)}
            environment = {k: v for k, v in environment.items() if not k.startswith("FWTOP_")}
        else:
            environment = collector.environment(**more)
        run(collector, [str(script)], environment)
        (log,) = folder.glob("*.log")
        kinds.append(_record_names(log))
    assert kinds[0] == kinds[1]
    assert "dynamo_start" in kinds[0]
    assert collector.messages("CompileEvent")


def _record_names(log: Path) -> list[str]:
    """What each line of a TORCH_TRACE log tells of, in order."""
    import json

    names = []
    for line in log.read_text().splitlines():
        if line.startswith("V") and "{" in line:
            record = json.loads(line[line.index("{") :])
            names.append(next(iter(record)))
    return names


def test_the_handler_comes_off_and_leaves_the_logger_as_it_was() -> None:
    code = """
import logging, sys
sys.path.insert(0, sys.argv[1])
import torch
from fwtop_profilers.config import ProbeConfig
from fwtop_profilers.probe import Context
from fwtop_profilers.torch import compile_events
logger = logging.getLogger("torch.__trace")
before = (list(logger.handlers), logger.level, logger.propagate)
uninstall = compile_events.install(Context(ProbeConfig("", "", ""), None, None))
assert len(logger.handlers) == len(before[0]) + 1
uninstall(); uninstall()
assert (list(logger.handlers), logger.level, logger.propagate) == before
"""
    profilers = Path(__file__).resolve().parents[2] / "profilers"
    subprocess.run([sys.executable, "-c", code, str(profilers)], check=True)


def reason(*guards: str) -> str:
    import json

    return compile_text.recompile_reason(json.dumps(list(guards)))


def test_recompile_reasons_in_the_users_words() -> None:
    size = "0/0: tensor 'x' size mismatch at index 0. expected 4, actual 5"
    assert reason(size) == "tensor 'x' size mismatch at index 0: expected 4, actual 5"
    value = "0/1: n == 1.0          # y=x.sin()+n  # train.py:9 in f\nUser stack trace:\n  File"
    assert reason(value, size).startswith("n == 1.0 no longer holds; tensor 'x' size")
    assert reason("0/0: L['n'] == 2") == "n == 2 no longer holds"
    assert compile_text.recompile_reason("not json") == "not json"


def test_chromium_events_are_read_from_their_ends() -> None:
    big = '{\n"name": "inductor_compile",\n"ts": 1.5,\n"args": {\n"components": ["%s"]\n},\n'
    big += '"ph": "E",\n"cat": "dynamo_timed"\n}'
    assert compile_text.chromium_event(big % ('x"ph": "B"' * 9000)) == ("inductor_compile", "E")
    assert compile_text.chromium_event("{}") is None
    assert compile_text.chromium_event("") is None


def test_resumed_functions_are_the_users() -> None:
    assert compile_text.function_name("torch_dynamo_resume_in_f_at_10") == "f"
    assert compile_text.function_name("forward") == "forward"


def test_a_graph_break_without_what_we_know_of_it_still_has_a_reason() -> None:
    found: Any = compile_text.graph_break("Graph break: something new")
    assert found.file is None
    assert "something new" in found.reason
