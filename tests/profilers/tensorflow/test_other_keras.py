"""tf_keras and Keras on jax: each loss is what it is without fwtop, and each batch is one step.

`make test-versions` has an environment for either, which FWTOP_TENSORFLOW_PYTHON and
FWTOP_JAX_PYTHON name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.profilers.collector import Collector, run
from tests.profilers.tensorflow.scripts import PYTHON, script, why_not, with_windows

pytestmark = pytest.mark.tensorflow

JAX_PYTHON = os.environ.get("FWTOP_JAX_PYTHON", sys.executable)
FIT = """
import json
import numpy as np
keras.utils.set_random_seed(0)
layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)]
model = keras.Sequential([keras.layers.Input((4,)), *layers])
model.compile("adam", "mse")
x = np.linspace(-1, 1, 320, dtype="float32").reshape(80, 4)
y = x.sum(1, keepdims=True)
losses = []

class Keeps(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        losses.append(float(logs["loss"]))

model.fit(x, y, batch_size=8, epochs=20, verbose=0, callbacks=[Keeps()], validation_data=(x, y))
losses += [float(model.train_on_batch(x[:8], y[:8])) for _ in range(5)]
print(json.dumps(losses))
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


CASES = {
    "tf_keras": ("import tf_keras as keras", PYTHON, {}),
    "jax": ("import keras", JAX_PYTHON, {"KERAS_BACKEND": "jax"}),
}


@pytest.mark.parametrize("which", sorted(CASES))
def test_steps_and_losses(collector: Collector, which: str) -> None:
    imports, python, environ = CASES[which]
    if reason := why_not(which, python):
        pytest.skip(reason)
    path = script(collector, imports + FIT)
    plain = subprocess.run(
        [python, path], env={**os.environ, **environ}, capture_output=True, text=True, timeout=200
    )
    assert plain.returncode == 0, plain.stderr
    environ = collector.environment(FWTOP_OVERHEAD="1", **environ, **with_windows())
    result = run(collector, [path], environ, python=python)
    assert (result.returncode, result.stdout) == (0, plain.stdout), result.stderr
    assert [step["samples"] for step in collector.steps()] == [8] * 205
    assert collector.messages("ProbeFailure") == []
