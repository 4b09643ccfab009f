"""Steps and phases of Keras and TensorFlow, each kind of loop in a real process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from fwtop_profilers import wire
from tests.profilers.collector import Collector
from tests.profilers.tensorflow.scripts import EAGER, SETUP, phases, train, train_plain, why_not

pytestmark = pytest.mark.tensorflow

GAP, COMPILED = wire.STEP_GAP, wire.STEP_COMPILED


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def flags(collector: Collector) -> list[int]:
    return [step["flags"] for step in collector.steps()]


def sources(collector: Collector) -> list[tuple[str, str]]:
    return [(said["source"], said["detail"]) for said in collector.messages("StepSource")]


def test_fit_counts_training_batches_alone(collector: Collector) -> None:
    code = (
        SETUP
        + """
model = make()
model.compile("sgd", "mse")
history = model.fit(x[:76], y[:76], batch_size=8, epochs=2, verbose=0, validation_data=(x, y))
model.predict(x, verbose=0)
print(history.history["loss"])
"""
    )
    result = train(collector, code)
    assert [step["samples"] for step in collector.steps()] == ([8] * 9 + [4]) * 2
    assert flags(collector) == [COMPILED] + [0] * 9 + [GAP] + [0] * 9
    assert [phases(step) for step in collector.steps()] == [set()] * 20
    assert sources(collector) == [("batch", "Keras fit")]
    assert result.stdout == train_plain(collector, code)


def test_fit_on_data_of_unknown_size(collector: Collector) -> None:
    code = """
model = make()
model.compile("sgd", "mse")
unknown = data.filter(lambda a, b: True)
model.fit(unknown, epochs=3, verbose=0, validation_data=unknown)
"""
    train(collector, SETUP + code)
    assert len(collector.steps()) == 30
    assert [flag & GAP for flag in flags(collector)] == (
        [0] * 10 + [GAP] + [0] * 9 + [GAP] + [0] * 9
    )


def test_several_batches_an_execution_are_told_as_such(collector: Collector) -> None:
    code = """
model = make()
model.compile("sgd", "mse", steps_per_execution=5)
model.fit(x, y, batch_size=8, epochs=2, verbose=0)
"""
    train(collector, SETUP + code)
    assert [step["samples"] for step in collector.steps()] == [40] * 4
    assert sources(collector)[-1][1].startswith("Keras fit, 5 batches an execution")


def test_eager_fit_has_phases(collector: Collector) -> None:
    code = """
model = make()
model.compile("sgd", "mse", run_eagerly=True)
model.fit(x, y, batch_size=8, epochs=1, verbose=0)
"""
    train(collector, SETUP + code)
    assert len(collector.steps()) == 10
    for step in collector.steps():
        assert {"forward", "backward", "optimizer"} <= phases(step)
        assert step["forward"] + step["backward"] + step["optimizer"] <= step["duration_ns"]


LOOP = """
for epoch in range(2):
    for a, b in data:
        loss = step(a, b)
    for a, b in data.take(3):
        model(a)
print(float(loss))
"""


def test_eager_loop_has_all_phases(collector: Collector) -> None:
    result = train(collector, EAGER + LOOP)
    assert [step["samples"] for step in collector.steps()] == [8] * 20
    assert [flag & GAP for flag in flags(collector)] == [0] * 10 + [GAP] + [0] * 9
    for step in collector.steps():
        assert phases(step) == {"input", "forward", "backward", "optimizer"}
        assert sum(step[phase] for phase in phases(step)) <= step["duration_ns"]
    assert sources(collector) == [("optimizer", "")]
    assert result.stdout == train_plain(collector, EAGER + LOOP)


def test_traced_step_has_input_and_no_phase_that_nobody_saw(collector: Collector) -> None:
    code = EAGER + "step = tf.function(step)" + LOOP
    result = train(collector, code)
    assert flags(collector) == [COMPILED] + [0] * 9 + [GAP] + [0] * 9
    assert [phases(step) for step in collector.steps()] == [{"input"}] * 20
    assert result.stdout == train_plain(collector, code)


MIXED = """
traced = tf.function(step)
for a, b in data:
    traced(a, b)  # 10 steps, from the second on of a function that is known to hold an update
{between}
for a, b in data:
    traced(a, b)
print(len(x))
"""

IN_A_GRAPH = """
try:
    with tf.Graph().as_default() as graph:
        traced(tf.zeros((8, 4)), tf.zeros((8, 1)))
except Exception as error:  # what it captured is another graph's
    print(type(error).__name__)
print(len(graph.get_operations()), tf.executing_eagerly())
@graph.as_default()
def build():
    return tf.executing_eagerly(), tf.compat.v1.get_default_graph() is graph
print(build(), build(), tf.executing_eagerly())
"""
BESIDE_A_GRAPH = """
import threading
opened, over = threading.Event(), threading.Event()
def open_graph():
    with tf.Graph().as_default():
        opened.set()
        over.wait(60)
other = threading.Thread(target=open_graph)
other.start(); opened.wait(60)
traced(x[:8], y[:8])
over.set(); other.join()
"""


@pytest.mark.parametrize(
    ("between", "steps"),
    [
        ("tf.config.run_functions_eagerly(True)", 20),
        ("traced(tf.constant(x[:3]), tf.constant(y[:3]))", 21),
        ("import threading\nworker = threading.Thread(target=traced, args=(x[:8], y[:8]))\n"
         "worker.start(); worker.join()", 21),
        ("traced = tf.function(step)", 20),
        (IN_A_GRAPH, 20),
        (BESIDE_A_GRAPH, 21),
    ],
    ids=[
        "run eagerly", "retraced", "on another thread", "made anew", "in a graph", "beside a graph",
    ],
)  # fmt: skip
def test_a_function_that_is_known_to_train_is_looked_at_again(
    collector: Collector, between: str, steps: int
) -> None:
    code = EAGER + MIXED.format(between=between)
    result = train(collector, code)
    assert len(collector.steps()) == steps
    assert result.stdout == train_plain(collector, code)


def test_no_graph_is_taken_for_open_that_was_left(collector: Collector) -> None:
    """While one is, each hook asks TensorFlow, which takes longer than all else that it does."""
    code = """
import sys
@tf.function
def fails(a):
    return tf.cond(tf.reduce_sum(a) > 0, lambda: a, lambda: 1 / 0)
try:
    fails(x)
except Exception:
    print("raised")
for a, b in data:
    tf.function(step)(a, b)
print(sys.modules["fwtop_profilers.startup"].session._probes["tensorflow"]._graphs_open.opened)
"""
    assert train(collector, EAGER + code).stdout.endswith("raised\n[]\n")


def test_step_within_a_traced_epoch_function_is_found_by_what_it_calls(
    collector: Collector,
) -> None:
    code = """
inner = tf.function(step)
inner(x[:8], y[:8])
outer = tf.function(lambda a, b: inner(a, b))
for a, b in data:
    outer(a, b)
"""
    train(collector, EAGER + code)
    assert len(collector.steps()) == 11


def test_gradients_are_traced_and_applied_eagerly(collector: Collector) -> None:
    code = """
@tf.function
def gradients_of(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(a) - b) ** 2)
    return tape.gradient(loss, model.trainable_variables)
for a, b in data:
    optimizer.apply(gradients_of(a, b), model.trainable_variables)
"""
    train(collector, EAGER + code)
    assert len(collector.steps()) == 10
    assert [phases(step) for step in collector.steps()] == [{"input", "optimizer"}] * 10


def test_gradient_accumulation_is_one_step(collector: Collector) -> None:
    code = """
for at, (a, b) in enumerate(data):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(a) - b) ** 2)
    found = tape.gradient(loss, model.trainable_variables)
    total = found if at % 2 == 0 else [g + h for g, h in zip(total, found)]
    if at % 2:
        optimizer.apply_gradients(zip(total, model.trainable_variables))
"""
    train(collector, EAGER + code)
    assert [step["samples"] for step in collector.steps()] == [16] * 5


def test_two_optimizers_in_turn_are_one_step(collector: Collector) -> None:
    code = """
def trainer():
    model, optimizer = make(), keras.optimizers.SGD(0.01)
    @tf.function
    def step(a, b):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(a) - b) ** 2)
        found = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(found, model.trainable_variables))
    return step
first, second = trainer(), trainer()
for a, b in data:
    first(a, b)
    second(a, b)
"""
    train(collector, SETUP + code)
    assert len(collector.steps()) in (10, 11)  # the first iteration may count by halves
    assert [step["samples"] for step in collector.steps()][-9:] == [8] * 9


def test_train_on_batch(collector: Collector) -> None:
    code = """
model = make()
model.compile("sgd", "mse")
for at in range(6):
    model.train_on_batch(x[:8], y[:8])
"""
    train(collector, SETUP + code)
    assert flags(collector) == [COMPILED] + [0] * 5


def test_prediction_alone_is_steps(collector: Collector) -> None:
    train(collector, SETUP + "make().predict(x, batch_size=8, verbose=0)")
    assert [step["samples"] for step in collector.steps()] == [8] * 10
    assert sources(collector) == [("batch", "Keras evaluate or predict")]


@pytest.mark.torch
@pytest.mark.parametrize("how", ["predict(x, ", "evaluate(x, y, "])
def test_batches_of_torch_as_the_backend_are_counted_once(collector: Collector, how: str) -> None:
    if why_not("torch"):
        pytest.skip(why_not("torch"))
    code = f"""
model = make()
model.compile("sgd", "mse")
model.{how}batch_size=8, verbose=0)
"""
    train(collector, SETUP + code, KERAS_BACKEND="torch")
    assert len(collector.steps()) == 10


@pytest.mark.parametrize("how", ["fit", "traced", "eager"])
def test_mirrored_replicas_are_one_step(collector: Collector, how: str) -> None:
    code = """
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model, optimizer = make(), keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)
    if sys.argv[1] == "fit":
        model.compile(optimizer, "mse")
if sys.argv[1] == "fit":
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
else:
    run = lambda batch: strategy.run(step, args=batch)
    run = tf.function(run) if sys.argv[1] == "traced" else run
    for batch in strategy.experimental_distribute_dataset(data):
        run(batch)
"""
    train(collector, EAGER + code, how, "mirrored")
    assert [step["samples"] for step in collector.steps()] == [8] * 10


def test_rank_from_tf_config(collector: Collector) -> None:
    cluster = {"chief": ["localhost:1"], "worker": ["localhost:2", "localhost:3"]}
    told = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1}})
    train(collector, SETUP, TF_CONFIG=told)
    assert collector.messages("Rank") == [{"rank": 2, "local_rank": None, "world_size": 3}]


def test_exceptions_pass_untouched(collector: Collector) -> None:
    code = """
@tf.function
def broken(a, b):
    step(a, b)
    tf.debugging.assert_greater(a, 0.0)
try:
    broken(x[:8], y[:8])
except tf.errors.InvalidArgumentError as error:
    print("as ever")
for a, b in data:
    step(a, b)
"""
    result = train(collector, EAGER + code)
    assert result.stdout == "as ever\n"
    assert len(collector.steps()) in (10, 11)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older Pythons keep a wrapper's frame")
def test_tracebacks_show_no_frame_of_ours(collector: Collector) -> None:
    code = """
import traceback
def tried(what):
    try:
        what()
    except Exception:
        print(traceback.format_exc())
wrong = np.ones((8, 3), "float32")
tried(lambda: step(wrong, y[:8]))
tried(lambda: optimizer.apply([tf.ones(7)], model.trainable_variables[:1]))
tried(lambda: tf.Variable(tf.ones(3)).assign(tf.ones(4)))
tried(lambda: tf.function(lambda a: {}[a.shape], autograph=False)(tf.ones(3)))
"""
    assert train(collector, EAGER + code).stdout == train_plain(collector, EAGER + code)


@pytest.mark.parametrize("how", ["step", "step = tf.function(step)"])
def test_a_call_that_the_user_names_is_the_step(collector: Collector, how: str) -> None:
    code = """
def iteration(a, b):
    step(a, b)
    step(a, b)
for a, b in data:
    iteration(a, b)
"""
    train(collector, EAGER + how + code, FWTOP_STEP_ON="call:__main__:iteration")
    assert [step["samples"] for step in collector.steps()] == [8] * 10
