"""Keras' batches where the user names what a step is, and its calls for one batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.profilers.collector import Collector
from tests.profilers.tensorflow.scripts import SETUP, train, why_not

pytestmark = pytest.mark.tensorflow

BACKENDS = ["tensorflow", pytest.param("torch", marks=pytest.mark.torch)]
COMPILED = 'model = make()\nmodel.compile("sgd", "mse")\n'


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def sources(collector: Collector) -> list[tuple[str, str]]:
    return [(said["source"], said["detail"]) for said in collector.messages("StepSource")]


def samples(collector: Collector) -> list[int | None]:
    return [step["samples"] for step in collector.steps()]


def run(collector: Collector, code: str, backend: str, step_on: str = "auto") -> None:
    if why_not(backend):
        pytest.skip(why_not(backend))
    train(collector, SETUP + code, KERAS_BACKEND=backend, FWTOP_STEP_ON=step_on)


ON_BATCH = """
for _ in range(6):
    model.{call}
"""
CALLS = [
    ("train_on_batch(x[:8], y[:8])", "optimizer"),
    ("test_on_batch(x[:8], y[:8])", "forward"),
    ("predict_on_batch(x[:8])", "forward"),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("call", "source"), CALLS)
def test_each_call_for_a_batch_is_a_step_of_its_size(
    collector: Collector, backend: str, call: str, source: str
) -> None:
    run(collector, COMPILED + ON_BATCH.format(call=call), backend)
    assert samples(collector) == [8] * 6
    assert sources(collector) == [(source, "")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_on_request_each_call_is_a_forward(collector: Collector, backend: str) -> None:
    calls = "".join(ON_BATCH.format(call=call) for call, _ in CALLS)
    run(collector, COMPILED + calls, backend, "forward")
    assert samples(collector) == [8] * 18


@pytest.mark.parametrize("backend", BACKENDS)
def test_beside_training_a_prediction_is_part_of_the_step(
    collector: Collector, backend: str
) -> None:
    code = """
for _ in range(6):
    made = model.predict_on_batch(x[:8])
    model.train_on_batch(x[:8], made)
"""
    run(collector, COMPILED + code, backend)
    assert len(collector.steps()) == 6


LOOPS = """
model.fit(x[:76], y[:76], batch_size=8, epochs=2, verbose=0, validation_data=(x[:24], y[:24]))
model.evaluate(x, y, batch_size=8, verbose=0)
model.predict(x, batch_size=8, verbose=0)
"""
TRAINED = ([8] * 9 + [4]) * 2
FORWARD = [*TRAINED[:10], 8, 8, 8, *TRAINED[:10], 8, 8, 8, *[8] * 20]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("step_on", "expected"), [("input", TRAINED), ("forward", FORWARD), ("optimizer", TRAINED)]
)
def test_in_keras_loops_what_the_user_names_is_counted_exactly(
    collector: Collector, backend: str, step_on: str, expected: list[int]
) -> None:
    run(collector, COMPILED + LOOPS, backend, step_on)
    assert len(collector.steps()) == len(expected)
    if step_on != "optimizer":
        assert samples(collector) == expected
        told = ["", *("by the batches of Keras " + loop for loop in ("fit", "evaluate or predict"))]
        assert sources(collector) == [(step_on, detail) for detail in told]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step_on", ["input", "forward"])
def test_prediction_alone_is_counted_as_the_user_names_it(
    collector: Collector, backend: str, step_on: str
) -> None:
    code = "make().predict(x, batch_size=8, verbose=0)"
    run(collector, code, backend, step_on)
    assert samples(collector) == [8] * 10
    assert sources(collector)[-1] == (step_on, "by the batches of Keras evaluate or predict")


def test_after_a_loop_that_raised_steps_are_bounded_as_the_user_says(collector: Collector) -> None:
    code = """
class Stops(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 4:
            raise ValueError("enough")
try:
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[Stops()])
except ValueError:
    pass
for a, b in data:
    model(a)
"""
    run(collector, COMPILED + code, "tensorflow", "forward")
    assert len(collector.steps()) == 4 + 10
    assert sources(collector)[-2:] == [("forward", "by the batches of Keras fit"), ("forward", "")]


def test_after_a_fit_that_raised_a_loop_by_hand_counts(collector: Collector) -> None:
    code = """
model.compile("sgd", "mse", run_eagerly=True)
real = model.optimizer.apply
def broken(*args, **kwargs):
    if model.optimizer.iterations.numpy() == 4:
        raise ValueError("enough")
    return real(*args, **kwargs)
model.optimizer.apply = broken
try:
    model.fit(x, y, batch_size=8, verbose=0)
except ValueError:
    pass
optimizer = keras.optimizers.SGD(0.01)
for a, b in data:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(a) - b) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
"""
    run(collector, COMPILED + code, "tensorflow")
    assert len(collector.steps()) == 4 + 10
    assert sources(collector) == [("batch", "Keras fit"), ("optimizer", "")]
