"""Runs a real TensorFlow in a real process under the collector; skips where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import Any

import pytest

from tests.profilers.collector import Collector, run

PYTHON = os.environ.get("FWTOP_TENSORFLOW_PYTHON", sys.executable)

SETUP = """
import os, sys
import numpy as np, tensorflow as tf, keras
if "mirrored" in sys.argv:
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
keras.utils.set_random_seed(0)

def make(width=8):
    layers = [keras.layers.Dense(width, activation="relu"), keras.layers.Dense(1)]
    return keras.Sequential([keras.layers.Input((4,)), *layers])

x = np.linspace(-1, 1, 4 * 80, dtype="float32").reshape(80, 4)
y = x.sum(1, keepdims=True)
data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
"""
EAGER = (
    SETUP
    + """
model, optimizer = make(), keras.optimizers.SGD(0.01)

def step(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(a) - b) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss
"""
)


@cache
def why_not(module: str = "tensorflow", python: str = PYTHON) -> str:
    """Why there is no such module to test with; empty if there is one."""
    look = f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"
    try:
        found = subprocess.run([python, "-c", look], capture_output=True, timeout=60)
    except OSError as error:
        return f"{python} does not run: {error}"
    return f"{python} has no {module}" if found.returncode else ""


@cache
def version() -> tuple[int, ...]:
    """TensorFlow's, (2, 21) for 2.21.0; (0,) where there is none."""
    if why_not():
        return (0,)
    look = (
        "import importlib.metadata as m\n"
        "print(*[d.version for n in ('tensorflow', 'tensorflow-cpu')"
        " for d in m.distributions(name=n)][:1])"
    )
    found = subprocess.run([PYTHON, "-c", look], capture_output=True, text=True, timeout=60)
    return tuple(int(part) for part in (found.stdout.strip() or "0").split(".")[:2])


def has_own_log() -> bool:
    """Whether a profiler's session logs what nobody can hold back, so that windows are off unless
    the user's level keeps it silent."""
    return version() < (2, 19)


def with_windows() -> dict[str, str]:
    """What a script needs in its environment for windows to be taken: nothing where they are
    always, so that their silence is tested too."""
    return {"TF_CPP_MIN_LOG_LEVEL": "1"} if has_own_log() else {}


def train(
    collector: Collector, code: str, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run `code` as a script under the collector; it must end well, and no hook may fail."""
    if why_not():
        pytest.skip(why_not())
    result = run(collector, [script(collector, code), *arguments],
                 collector.environment(**environ), python=PYTHON)  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert collector.messages("ProbeFailure") == []
    return result


def train_plain(collector: Collector, code: str, *arguments: str) -> str:
    """Run `code` without fwtop; its standard output."""
    if why_not():
        pytest.skip(why_not())
    argv = [PYTHON, script(collector, code), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=200).stdout


def script(collector: Collector, code: str) -> str:
    path = collector.folder / "train.py"
    path.write_text(code)
    return str(path)


def phases(step: dict[str, Any]) -> set[str]:
    """The phases of a step that are known."""
    names = ("input", "forward", "backward", "optimizer")
    return {name for name in names if step.get(name) is not None}
