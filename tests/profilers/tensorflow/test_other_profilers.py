"""Other profilers beside ours in a real TensorFlow: asked for from afar, and PyTorch's windows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.profilers.collector import Collector
from tests.profilers.tensorflow.reading import reading
from tests.profilers.tensorflow.scripts import EAGER, train, train_plain, why_not, with_windows

pytestmark = pytest.mark.tensorflow

REMOTE = (
    EAGER
    + """
import socket, threading
step = tf.function(step)

def trains():
    for a, b in data:
        step(a, b)

def asks(server, folder, attempts, lasts_ms):
    tf.profiler.experimental.client.trace(server, folder, lasts_ms, num_tracing_attempts=attempts)

def while_training(*told):
    client = threading.Thread(target=asks, args=told)
    client.start()
    while client.is_alive():
        trains()

for _ in range(10):
    trains()
cluster = tf.distribute.Server.create_local_server()
# so long that ours has been saved, and is refused, before theirs is over
while_training(cluster.target, os.path.join(sys.argv[1], "cluster"), 10_000, 1500)
for _ in range(10):
    trains()
free = socket.socket()
free.bind(("localhost", 0))
port = free.getsockname()[1]
free.close()
tf.profiler.experimental.server.start(port)
from_here = time.monotonic_ns()
for at in range(2):
    while_training("localhost:%d" % port, os.path.join(sys.argv[1], "server %d" % at), 1, 200)
while time.monotonic_ns() < from_here + 2_000_000_000:  # ours looks again after a second
    trains()
print(from_here)
"""
).replace("import os, sys", "import os, sys, time")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def waits(collector: Collector) -> list[str]:
    """What the windows waited for, in turn."""
    return [said["waiting_for"] for said in collector.messages("Governor")]


def test_sessions_that_are_asked_for_from_afar_win(collector: Collector) -> None:
    """A cluster's server cannot be seen: theirs may have to ask again, and ours waits for theirs.
    With a profiler server the first attempt counts."""
    theirs = collector.folder / "theirs"
    with reading(collector) as traces:
        result = train(collector, REMOTE, str(theirs), FWTOP_OVERHEAD="1", **with_windows())
    from_here = int(result.stdout.splitlines()[-1])
    written = {path.relative_to(theirs).parts[0] for path in theirs.rglob("*.xplane.pb")}
    assert written == {"cluster", "server 0", "server 1"}
    assert traces
    assert all(window["end_ns"] < from_here for window, _ in traces)
    assert collector.messages("WindowFailed") == []
    assert "another profiler's session" in waits(collector)
    assert waits(collector)[-1] == "the script's profiler server"


BOTH = (
    EAGER
    + """
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
other = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
descent = torch.optim.SGD(other.parameters(), lr=0.01)
inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

def other_step():
    descent.zero_grad()
    loss = torch.nn.functional.mse_loss(other(inputs), targets)
    loss.backward()
    descent.step()
    return loss.item()

step = tf.function(step)
losses = [other_step() for _ in range(100)]
for _ in range(10):
    for a, b in data:
        losses.append(float(step(a, b)))
model.compile("sgd", "mse")
losses += model.fit(x, y, batch_size=8, epochs=5, verbose=0).history["loss"]
losses += [other_step() for _ in range(100)]
with torch.profiler.profile() as theirs:  # theirs wins as ever, whoever else has windows
    losses += [other_step() for _ in range(5)]
print(sum(row.count for row in theirs.key_averages() if row.key == "aten::addmm"))
for _ in range(10):
    for a, b in data:
        losses += [float(step(a, b)), other_step()]
print(losses)
"""
)


@pytest.mark.torch
def test_both_frameworks_have_their_windows_in_one_script(collector: Collector) -> None:
    if why_not("torch"):
        pytest.skip(why_not("torch"))
    with reading(collector) as traces:
        result = train(collector, BOTH, FWTOP_OVERHEAD="1", **with_windows())
    assert result.stdout == train_plain(collector, BOTH)
    assert result.stdout.startswith("10\n")
    assert collector.messages("WindowFailed") == []
    apart = [step for step in collector.steps() if step["index"] < 100 + 100 + 50 + 100 + 5]
    assert len(apart) == 355
    for trace_format, product in (("kineto", "aten::addmm"), ("xplane", "MatMul")):
        found = [trace for window, trace in traces if window["format"] == trace_format]
        assert len(found) >= 2, trace_format
        names = {name for trace in found for track in trace.tracks for name in track.names}
        assert any(product in name for name in names), trace_format
