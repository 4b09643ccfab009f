"""tf_keras, the Keras of before version 3, where the interpreter has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.profilers.collector import Collector
from tests.profilers.tensorflow.scripts import SETUP, train, why_not

pytestmark = pytest.mark.tensorflow

OLD = SETUP.replace("import numpy as np, tensorflow as tf, keras", "import numpy as np") + ""
OLD = "import tensorflow as tf, tf_keras as keras\n" + OLD + "model = make()\n"
COMPILE = 'model.compile("sgd", "mse"{more})\n'
EPOCHS = "model.fit(x[:76], y[:76], batch_size=8, epochs=2, verbose=0, validation_data=(x, y))\n"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def samples(collector: Collector, code: str, **environ: str) -> list[int | None]:
    if why_not("tf_keras"):
        pytest.skip(why_not("tf_keras"))
    train(collector, OLD + code, **environ)
    return [step["samples"] for step in collector.steps()]


@pytest.mark.parametrize(
    ("more", "expected"),
    [("", ([8] * 9 + [4]) * 2), (", steps_per_execution=5", [40, 36, 40, 36])],
)
def test_fit_knows_the_samples_of_each_step(
    collector: Collector, more: str, expected: list[int]
) -> None:
    assert samples(collector, COMPILE.format(more=more) + EPOCHS) == expected


@pytest.mark.parametrize("call", ["train_on_batch(x[:8], y[:8])", "predict_on_batch(x[:8])"])
def test_each_call_for_a_batch_is_a_step_of_its_size(collector: Collector, call: str) -> None:
    code = COMPILE.format(more="") + f"for _ in range(6):\n    model.{call}\n"
    assert samples(collector, code) == [8] * 6


@pytest.mark.parametrize(("step_on", "count"), [("input", 20), ("forward", 20 + 2 * 10)])
def test_fit_is_counted_as_the_user_names_it(
    collector: Collector, step_on: str, count: int
) -> None:
    found = samples(collector, COMPILE.format(more="") + EPOCHS, FWTOP_STEP_ON=step_on)
    assert len(found) == count
