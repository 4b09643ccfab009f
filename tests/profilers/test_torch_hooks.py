"""PyTorch's hooks in real scripts: what they see, and that the script sees nothing of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fwtop_profilers import wire
from tests.profilers.collector import Collector, run

pytestmark = pytest.mark.torch

SETUP = """
import json, os, sys, torch
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = []
def step(x):
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
def loader(n=64, **options):
    data = torch.utils.data.TensorDataset(torch.randn(n, 4))
    return torch.utils.data.DataLoader(data, batch_size=8, **options)
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def plain(code: str, *argv: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def under(collector: Collector, code: str, *argv: str, **environ: str) -> str:
    result = run(collector, ["-c", code, *argv], collector.environment(**environ))
    assert result.returncode == 0, result.stderr
    assert collector.messages("ProbeFailure") == []
    return result.stdout


COMPILED = (
    SETUP
    + """
import torch._dynamo as dynamo
ids = []
def backend(graph, inputs):
    ids.append(str(torch._guards.CompileContext.current_compile_id()))
    return graph
compiled = lambda function, **options: torch.compile(function, backend=backend, **options)
what = sys.argv[1]
train = step
if what == "model":
    model = compiled(model, fullgraph=True)
elif what == "function":
    forward = compiled(lambda x: model(x).square().mean(), fullgraph=True)
    def train(x):
        optimizer.zero_grad(); forward(x).backward(); optimizer.step()
elif what == "optimizer":
    update = compiled(lambda: optimizer.step())
    def train(x):
        optimizer.zero_grad(); model(x).sum().backward(); update()
elif what == "whole":
    train = compiled(step)
elif what == "epoch":
    def epoch(x):
        for (y,) in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=4):
            step(y)
    train = compiled(epoch)
elif what == "scaler":
    scaler = torch.amp.GradScaler("cpu")
    def scaled(x):
        optimizer.zero_grad(); scaler.scale(model(x).sum()).backward()
        scaler.step(optimizer); scaler.update()
    train = compiled(scaled)
elif what == "dynamic":
    model = compiled(model, dynamic=True)
for i in range(6):
    train(torch.randn(4 + 2 * i if what == "dynamic" else 8, 4))
print(json.dumps([losses, {k: dict(v) for k, v in dynamo.utils.counters.items()}, ids]))
"""
)


@pytest.mark.parametrize(
    ("what", "steps"),
    [
        ("model", 6),
        ("function", 6),
        ("optimizer", 6),
        ("whole", 6),
        ("epoch", 12),
        ("scaler", 6),
        ("dynamic", 6),
    ],
)
def test_dynamo_counts_the_same(collector: Collector, what: str, steps: int) -> None:
    expected = json.loads(plain(COMPILED, what))
    assert expected[2], "the case compiles nothing"
    assert json.loads(under(collector, COMPILED, what)) == expected
    assert len(collector.steps()) == steps
    assert not any(step["flags"] & wire.STEP_SKIPPED for step in collector.steps())


def test_losses_phases_and_samples_of_a_plain_loop(collector: Collector) -> None:
    code = SETUP + "for (x,) in loader(): step(x)\nprint(losses)"
    assert under(collector, code) == plain(code)
    steps = collector.steps()
    assert [step["index"] for step in steps] == list(range(8))
    assert {step["samples"] for step in steps} == {8}
    assert all(step[phase] > 0 for step in steps for phase in
               ("input", "forward", "backward", "optimizer"))  # fmt: skip
    assert collector.messages("StepSource")[-1]["source"] == "optimizer"
    assert collector.messages("Framework")[-1]["name"] == "torch"
    assert collector.messages("Goodbye") != []


def test_users_hooks_results_and_errors_pass(collector: Collector) -> None:
    code = (
        SETUP
        + """
seen = []
optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("pre"))
optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("post"))
print(optimizer.step(lambda: torch.tensor(3.0)), seen)
class Broken(torch.utils.data.Dataset):
    def __len__(self): return 2
    def __getitem__(self, i): raise KeyError("row")
try:
    for batch in torch.utils.data.DataLoader(Broken()): pass
except KeyError as error:
    print("KeyError", error)
loss = model(torch.ones(1, 4)).sum()
loss.backward()
try:
    loss.backward()
except RuntimeError as error:
    print(str(error)[:40])
import inspect
print(inspect.signature(torch.autograd.backward), inspect.signature(torch.optim.Optimizer))
for i in range(3): step(torch.ones(2, 4))
print(losses)
"""
    )
    assert under(collector, code) == plain(code)
    assert len(collector.steps()) >= 3


@pytest.mark.parametrize(
    ("what", "error", "off"),
    [
        (
            "type(session.steps)._follows = fail",
            "ZeroDivisionError",
            ["backward", "input", "optimizer"],
        ),
        ("session.tape.due_ns = None", "TypeError", ["input"]),
    ],
)
def test_a_hook_that_raises_is_switched_off(
    collector: Collector, what: str, error: str, off: list[str]
) -> None:
    broken = SETUP + (
        "from fwtop_profilers.startup import session\n"
        "def fail(*args): raise ZeroDivisionError('ours')\n"
        f"{what}\n"
        "for (x,) in loader(): step(x)\n"
        "print(losses)\n"
    )
    healthy = SETUP + "for (x,) in loader(): step(x)\nprint(losses)"
    result = run(collector, ["-c", broken])
    assert (result.stdout, result.stderr, result.returncode) == (plain(healthy), "", 0)
    failures = collector.messages("ProbeFailure")
    assert sorted(failure["hook"] for failure in failures) == off
    assert all(error in failure["error"] for failure in failures)


def test_uninstall_puts_everything_back(collector: Collector) -> None:
    code = """
import sys
sys.modules.pop("fwtop_profilers.startup")
import torch, torch.utils.data.dataloader as data
def state():
    return [torch.autograd.backward, torch.amp.GradScaler.step, torch.optim.Optimizer.__init__,
            data.DataLoader.__iter__, data._BaseDataLoaderIter.__next__]
import fwtop_profilers.session as sessions, fwtop_profilers.torch as ours, gc
probe = next(o for o in gc.get_objects() if isinstance(o, ours.TorchProbe))
hooked = state()
probe.uninstall(); probe.uninstall()
print([f.fwtop_original is g for f, g in zip(hooked, state())])
from torch.optim import optimizer as o
print(sys.modules["torch.optim.optimizer"]._global_optimizer_pre_hooks)
"""
    code = code.replace("from torch.optim import optimizer as o\n", "")
    assert under(collector, code) == "[True, True, True, True, True]\nOrderedDict()\n"


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_dataloader_workers_stay_silent(collector: Collector, context: str) -> None:
    code = SETUP + (
        "if __name__ == '__main__':\n"
        "    for epoch in range(2):\n"
        "        for (x,) in loader(num_workers=2, multiprocessing_context=sys.argv[1]): step(x)\n"
        "    print(losses)\n"
    )
    script = collector.folder / "train.py"
    script.write_text(code)
    result = run(collector, [str(script), context])
    assert result.returncode == 0, result.stderr
    assert [kinds[0] for kinds in collector.kinds()] == ["Hello"]
    assert len(collector.steps()) == 16


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_child_that_trains_is_a_process_of_its_own(collector: Collector, context: str) -> None:
    code = SETUP + (
        "def train():\n"
        "    for (x,) in loader(): step(x)\n"
        "if __name__ == '__main__':\n"
        "    import multiprocessing\n"
        "    context = multiprocessing.get_context(sys.argv[1])\n"
        "    train()\n"
        "    children = [context.Process(target=train) for _ in range(2)]\n"
        "    [child.start() for child in children]\n"
        "    print(json.dumps([os.getpid(), *(child.pid for child in children)]))\n"
        "    [child.join() for child in children]\n"
    )
    script = collector.folder / "train.py"
    script.write_text(code)
    result = run(collector, [str(script), context])
    assert result.returncode == 0, result.stderr
    pids = json.loads(result.stdout)
    assert sorted(body["pid"] for body in collector.messages("Hello")) == sorted(pids)
    for pid in pids:
        assert [step["index"] for step in collector.steps(pid)] == list(range(8))
        assert [body["name"] for body in collector.messages("Framework", pid)][:1] == ["torch"]
        assert len(collector.messages("Goodbye", pid)) == 1


def test_a_script_that_never_trains_is_listed(collector: Collector) -> None:
    under(collector, "import torch; print(torch.ones(2).sum().item())")
    assert collector.kinds()[0][:2] == ["Hello", "Framework"]
    assert collector.steps() == []


def test_inference_only(collector: Collector) -> None:
    code = SETUP + "with torch.inference_mode():\n    for (x,) in loader(): model(x)\n"
    under(collector, code)
    assert len(collector.steps()) == 8
    assert collector.messages("StepSource")[-1]["source"] == "input"


def test_no_recorder_and_a_recorder_killed(collector: Collector) -> None:
    code = SETUP + "for (x,) in loader(): step(x)\nprint(losses)"
    environ = collector.environment()
    collector.die()
    result = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=200
    )
    assert (result.stdout, result.stderr, result.returncode) == (plain(code), "", 0)


def test_a_recorder_that_dies_and_comes_back(collector: Collector) -> None:
    code = (
        SETUP
        + """
for (x,) in loader(): step(x)
sys.stdin.readline()
for (x,) in loader(): step(x)
"""
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=collector.environment(), stdin=subprocess.PIPE, text=True
    )
    collector.wait_for(lambda: len(collector.steps()) == 8)
    collector.die()
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    collector.listen()
    collector.wait_for(lambda: len({step["index"] for step in collector.steps()}) == 16)
    process.stdin.close()
    assert process.wait(60) == 0
    collector.finished()
    assert len({body["process_key"] for body in collector.messages("Hello")}) == 1
    assert {"Hello", "Framework", "StepSource"} <= set(collector.kinds()[1])


def test_step_on_call_in_the_script(collector: Collector) -> None:
    script = collector.folder / "train.py"
    script.write_text(SETUP + "for (x,) in loader(): step(x)\n")
    result = run(collector, [str(script)], collector.environment(FWTOP_STEP_ON="call:train:step"))
    assert result.returncode == 0, result.stderr
    assert len(collector.steps()) == 8
    assert all(step["optimizer"] and step["backward"] for step in collector.steps())
    assert collector.messages("StepSource")[0]["source"] == "call:train:step"


def test_step_on_forward(collector: Collector) -> None:
    code = SETUP + "for i in range(5): model(torch.ones(2, 4))\n"
    under(collector, code, FWTOP_STEP_ON="forward")
    assert len(collector.steps()) == 5


def test_out_of_step_exceptions_leave_the_count_right(collector: Collector) -> None:
    code = (
        SETUP
        + """
class Fails(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.clone()
    @staticmethod
    def backward(ctx, g): raise MemoryError("as an allocator does")
for at, (x,) in enumerate(loader()):
    try:
        if at == 3: Fails.apply(model(x)).sum().backward()
        step(x)
    except MemoryError: pass
"""
    )
    under(collector, code)
    assert len(collector.steps()) == 7


def test_torchruns_agent_stays_silent(collector: Collector) -> None:
    script = collector.folder / "train.py"
    script.write_text(
        SETUP
        + """
torch.distributed.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.Adam(model.parameters())
for (x,) in loader(): step(x)
torch.distributed.destroy_process_group()
"""
    )
    argv = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    result = run(collector, argv)
    assert result.returncode == 0, result.stderr
    hellos = collector.messages("Hello")
    assert sorted((body["rank"], body["world_size"]) for body in hellos) == [(0, 2), (1, 2)]
    assert all(len(collector.steps(body["pid"])) == 8 for body in hellos)
    assert not re.search("fwtop", result.stderr)


def test_pythonpath_of_children_is_kept(collector: Collector) -> None:
    out = under(collector, "import torch, os; print(os.environ['PYTHONPATH'].split(os.pathsep)[0])")
    assert out.strip() == collector.environment()["PYTHONPATH"].split(os.pathsep)[0]
