"""Steps where no Keras optimizer or no training says what one is, and several processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.profilers.collector import Collector
from tests.profilers.tensorflow.scripts import EAGER, SETUP, phases, train, train_plain

pytestmark = pytest.mark.tensorflow

BY_HAND = """
unused = keras.optimizers.SGD(0.01)
weights = [tf.Variable(np.full(shape, 0.1, "float32")) for shape in ((4, 8), (8, 1))]
seen = tf.Variable(0.0)

def by_hand(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((tf.nn.relu(a @ weights[0]) @ weights[1] - b) ** 2)
    gradients = tape.gradient(loss, weights)
    seen.assign_add(1.0)
    for weight, gradient in zip(weights, gradients):
        weight.assign_sub(0.01 * gradient)
    return loss
"""
WORKERS = (
    """
import json, os, socket, subprocess, sys
if "TF_CONFIG" not in os.environ:
    held = [socket.socket() for _ in range(2)]
    for one in held:
        one.bind(("localhost", 0))
    workers = ["localhost:%d" % one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    cluster = {"cluster": {"worker": workers}}
    told = [json.dumps({**cluster, "task": {"type": "worker", "index": i}}) for i in range(2)]
    both = [
        subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "TF_CONFIG": one})
        for one in told
    ]
    sys.exit(str([one.returncode for one in both]) if any([one.wait() for one in both]) else 0)
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
"""
    + SETUP
    + """
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
data = data.with_options(options)
how = sys.argv[1]
with strategy.scope():
    weights = [tf.Variable(np.full(shape, 0.1, "float32")) for shape in ((4, 8), (8, 1))]
    optimizer = keras.optimizers.SGD(0.01)
    if how == "optimizer":
        optimizer.build(weights)

def step(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((tf.nn.relu(a @ weights[0]) @ weights[1] - b) ** 2)
    gradients = tape.gradient(loss, weights)
    if how == "optimizer":
        optimizer.apply(gradients, weights)
    else:
        context = tf.distribute.get_replica_context()
        mean = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        for weight, gradient in zip(weights, mean):
            weight.assign_sub(0.01 * gradient)
    return loss

@tf.function
def run(batch):
    return strategy.run(step, args=batch)

count = 0
for batch in strategy.experimental_distribute_dataset(data):
    run(batch)
    count += 1
print(count, flush=True)
"""
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.mark.parametrize("how", ["", "by_hand = tf.function(by_hand)"])
def test_updates_by_hand_are_steps_though_an_optimizer_lies_unused(
    collector: Collector, how: str
) -> None:
    code = (
        SETUP + BY_HAND + how + "\nfor a, b in data:\n    loss = by_hand(a, b)\nprint(float(loss))"
    )
    result = train(collector, code)
    assert len(collector.steps()) == 10
    assert result.stdout == train_plain(collector, code)


@pytest.mark.parametrize("how", ["hand", "optimizer"])
def test_each_worker_has_its_steps_and_its_rank(collector: Collector, how: str) -> None:
    result = train(collector, WORKERS, how)
    counts = [int(line) for line in result.stdout.split()]
    assert len(counts) == 2
    assert min(counts) >= 10
    assert len(collector.steps()) == sum(counts)
    ranks = sorted((said["rank"], said["world_size"]) for said in collector.messages("Rank"))
    assert ranks == [(0, 2), (1, 2)]


@pytest.mark.parametrize("how", ["", "model = tf.function(model)"])
def test_calls_of_a_model_are_the_steps_on_request(collector: Collector, how: str) -> None:
    code = "\nfor a, b in data:\n    model(a)\n"
    train(collector, SETUP + "model = make()\n" + how + code, FWTOP_STEP_ON="forward")
    assert len(collector.steps()) == 10
    assert all("forward" in phases(step) for step in collector.steps())


@pytest.mark.parametrize(("step_on", "count"), [("optimizer", 10), ("input", 10)])
def test_what_the_user_names_is_the_step(collector: Collector, step_on: str, count: int) -> None:
    train(collector, EAGER + "\nfor a, b in data:\n    step(a, b)\n", FWTOP_STEP_ON=step_on)
    assert len(collector.steps()) == count


def test_tensorboards_profile_of_some_batches_is_written(collector: Collector) -> None:
    code = """
model = make()
model.compile("sgd", "mse")
board = keras.callbacks.TensorBoard(sys.argv[1], profile_batch=(2, 4))
model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[board])
print("done")
"""
    theirs = collector.folder / "theirs"
    result = train(collector, SETUP + code, str(theirs), FWTOP_OVERHEAD="1")
    assert result.stdout == "done\n"
    assert len(collector.steps()) == 20
    (written,) = theirs.rglob("*.xplane.pb")
    assert written.stat().st_size > 1_000


def test_what_autograph_cannot_convert_is_told(collector: Collector) -> None:
    code = """
source = "def made(a):\\n    for i in range(3):\\n        a = a + i\\n    return a\\n"
exec(compile(source, "generated.py", "exec"))

@tf.function
def outer(a):
    return made(a)

outer(tf.ones(3))
"""
    train(collector, SETUP + code)
    told = [said for said in collector.messages("CompileEvent") if said["kind"] == "fallback"]
    (event,) = told
    assert event["function"] == "made"
    assert "generated.py" in event["file"]
    assert event["reason"]
