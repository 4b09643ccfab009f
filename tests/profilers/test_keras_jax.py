"""Keras on jax, each kind of loop in a real process.

FWTOP_JAX_PYTHON names an interpreter with keras and jax, where this one has none.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import pytest

from tests.profilers.collector import Collector, run

PYTHON = os.environ.get("FWTOP_JAX_PYTHON", sys.executable)
SETUP = """
import keras, numpy as np
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((80, 4), "float32")
y = x.sum(1, keepdims=True)
"""


@cache
def why_not() -> str:
    """Why there is no Keras on jax to test with; empty if there is one."""
    look = "from importlib.util import find_spec as f; print(bool(f('jax') and f('keras')))"
    try:
        found = subprocess.run([PYTHON, "-c", look], capture_output=True, text=True, timeout=60)
    except OSError as error:
        return f"FWTOP_JAX_PYTHON={PYTHON} does not run: {error}"
    return "" if "True" in found.stdout else f"{PYTHON} has no keras with jax"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def train(collector: Collector, code: str, **environ: str) -> list[int | None]:
    """The samples of each step that a script makes."""
    if why_not():
        pytest.skip(why_not())
    script = collector.folder / "train.py"
    script.write_text(SETUP + code)
    environment = collector.environment(KERAS_BACKEND="jax", **environ)
    result = run(collector, [str(script)], environment, python=PYTHON)
    assert result.returncode == 0, result.stderr
    assert collector.messages("ProbeFailure") == []
    return [step["samples"] for step in collector.steps()]


CALLS = [
    ("train_on_batch(x[:8], y[:8])", "optimizer"),
    ("test_on_batch(x[:8], y[:8])", "forward"),
    ("predict_on_batch(x[:8])", "forward"),
]


@pytest.mark.parametrize(("call", "source"), CALLS)
def test_each_call_for_a_batch_is_a_step_of_its_size(
    collector: Collector, call: str, source: str
) -> None:
    assert train(collector, f"for _ in range(6):\n    model.{call}\n") == [8] * 6
    assert [said["source"] for said in collector.messages("StepSource")] == [source]


def test_beside_training_predictions_and_tests_are_no_steps(collector: Collector) -> None:
    code = """
for _ in range(6):
    model.train_on_batch(x[:8], y[:8])
    model.test_on_batch(x[:8], y[:8])
    model.predict_on_batch(x[:8])
"""
    assert len(train(collector, code)) == 6


@pytest.mark.parametrize(
    ("step_on", "count"), [("auto", 20), ("input", 20), ("optimizer", 20), ("forward", 20 + 6 + 20)]
)
def test_loops_of_keras_are_counted_as_the_user_names_it(
    collector: Collector, step_on: str, count: int
) -> None:
    code = """
model.fit(x, y, batch_size=8, epochs=2, verbose=0, validation_data=(x[:24], y[:24]))
model.evaluate(x, y, batch_size=8, verbose=0)
model.predict(x, batch_size=8, verbose=0)
"""
    assert train(collector, code, FWTOP_STEP_ON=step_on) == [8] * count
