"""What traced steps of a real TensorFlow tell, from the script to the summary.

The stages of its input pipeline, who holds memory where it is highest, and XLA's operators by
TensorFlow's names; each against what the script must do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.memory_timeline import BEFORE
from fwtop.queries import operators
from fwtop.recording.store import open_recording
from tests.profilers.tensorflow.scripts import PYTHON, SETUP, version, why_not, with_windows

pytestmark = pytest.mark.tensorflow


@dataclass
class Recorded:
    """A script's run under `fwtop record`."""

    path: Path
    stdout: str
    summary: dict[str, Any]

    def stages(self) -> dict[str, dict[str, Any]]:
        """The input pipeline's, by path."""
        return {row["path"]: row for row in self.summary["input_pipeline"]["rows"]}

    def calls(self, name: str, phase: str) -> float:
        """An operator's calls a traced step on the CPU."""
        return sum(
            row["calls"]
            for row in self.summary["operators"]["rows"]
            if (row["name"], row["phase"], row["device"]) == (name, phase, "cpu")
        )

    def finding(self, code: str) -> dict[str, Any]:
        """The one finding of a code."""
        (found,) = (one for one in self.summary["findings"] if one["code"] == code)
        return dict(found)


def record(folder: Path, code: str, *options: str) -> Recorded:
    """Run a script with every step traced, and sum the recording up."""
    if why_not():
        pytest.skip(why_not())
    script, path = folder / "train.py", folder / "run.fwtop"
    script.write_text(SETUP + code)
    argv = ["record", "--python", PYTHON, "--overhead", "100%", *options, "-o", str(path)]
    fwtop = [sys.executable, "-m", "fwtop"]
    done = subprocess.run(
        [*fwtop, *argv, str(script)],
        env={**os.environ, **with_windows()}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        [*fwtop, "summary", str(path), "--json"], capture_output=True, check=True, timeout=60
    )
    summary = json.loads(told.stdout)
    assert summary["losses"] == {"messages_dropped": 0, "windows_failed": 0, "probe_failures": []}
    return Recorded(path, done.stdout, summary)


SLOW_MAP = """
import time

def slowly(a):
    time.sleep(0.004)
    return a

def prepare(a, b):
    return tf.ensure_shape(tf.numpy_function(slowly, [a], tf.float32), (4,)), b

slow = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(16).map(prepare).batch(4).prefetch(1)
"""


def test_in_fit_the_slow_stage_is_found_although_the_wait_is_within_the_graph(
    tmp_path: Path,
) -> None:
    code = """
model = make()
model.compile("sgd", "mse")
model.fit(slow, epochs=3, verbose=0)
"""
    ran = record(tmp_path, SLOW_MAP + code)
    wait = [row for row in ran.summary["operators"]["rows"] if row["name"] == "IteratorGetNext"]
    assert {row["phase"] for row in wait} == {"input"}
    stages = ran.stages()
    (slowest,) = (path for path in stages if path.rpartition("::")[2] in ("Map", "MapAndBatch"))
    waited = sum(row["wait_ns"] for row in stages.values())
    assert stages[slowest]["wait_ns"] > 0.9 * waited
    assert waited == pytest.approx(stages["Prefetch"]["total_ns"], rel=0.01)
    assert waited <= sum(row["total_ns"] for row in wait)
    assert not any(row["name"].startswith("Iterator::") for row in ran.summary["operators"]["rows"])
    found = ran.finding("input_bound")
    assert found["evidence"]["stage"] == slowest
    assert found["evidence"]["input_ratio"] > 0.5
    assert "runs Python" in found["why"]


def test_in_a_loop_by_hand_the_slow_source_is_found_and_not_the_map_that_waits_for_it(
    tmp_path: Path,
) -> None:
    code = """
def produce():
    for a in x:
        time.sleep(0.004)
        yield a

source = tf.data.Dataset.from_generator(
    produce, output_signature=tf.TensorSpec((4,), tf.float32)
)
ready = source.map(lambda a: (a, tf.reduce_sum(a)), num_parallel_calls=2).batch(4).prefetch(2)
optimizer, model = keras.optimizers.SGD(0.01), make()
for epoch in range(2):
    for a, b in ready:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model(a) - b) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
"""
    ran = record(tmp_path, SLOW_MAP + code)
    stages = ran.stages()
    slowest = max(stages, key=lambda path: stages[path]["wait_ns"])
    assert slowest.rpartition("::")[2] in ("Generator", "FlatMap")
    assert ran.finding("input_bound")["evidence"]["stage"] == slowest


def test_stages_side_by_side_and_repeated_are_one_each(tmp_path: Path) -> None:
    code = """
pieces = tf.data.Dataset.range(4).interleave(
    lambda i: tf.data.Dataset.from_tensor_slices((x, y)), cycle_length=3, num_parallel_calls=2
)
model = make()
model.compile("sgd", "mse")
model.fit(pieces.shuffle(20).batch(8).cache().repeat(3).prefetch(2), verbose=0)
"""
    stages = record(tmp_path, code).stages()
    names = {path.rpartition("::")[2] for path in stages}
    assert not any("[" in path or "Impl" in path for path in stages)
    assert "Prefetch" in stages
    assert any(name.startswith("ParallelInterleave") for name in names)
    assert {"Shuffle", "MemoryCache", "TensorSlice"} <= names
    assert all(0 <= row["self_ns"] <= row["total_ns"] for row in stages.values())


BIG = """
model, optimizer = make(1024), keras.optimizers.SGD(0.01)
optimizer.build(model.trainable_variables)
big = tf.random.normal((512, 4))

@tf.function
def step(a):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(a) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss

for _ in range(240):
    step(big)
told = tf.config.experimental.get_memory_info("CPU:0")
print(told["current"], told["peak"])
"""


def test_who_held_memory_where_it_was_highest(tmp_path: Path) -> None:
    """The hidden layer's output and its gradient are 512 x 1024 floats each: 2 MiB."""
    ran = record(tmp_path, BIG, "--deep")
    current, peak = map(int, ran.stdout.split())
    if not peak:
        pytest.skip("this TensorFlow's CPU allocator tells nothing")
    holders = {
        row["operator"]: row["bytes"]
        for row in ran.summary["memory"]["peak_holders"]
        if row["device"] == "cpu"
    }
    before = holders.pop(BEFORE, 0)
    assert max(holders.values()) >= 512 * 1024 * 4
    assert sum(holders.values()) % (512 * 1024 * 4) == 0
    assert any("MatMul" in name or "Relu" in name for name in holders)
    assert before + sum(holders.values()) <= peak
    assert before <= max(current, peak - 512 * 1024 * 4)


JIT = """
layers = [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(16)]
model, optimizer = keras.Sequential([keras.layers.Input((4,)), *layers]), keras.optimizers.SGD(0.01)
optimizer.build(model.trainable_variables)

@tf.function(jit_compile=True)
def step(a, b):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(a) - b) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    return loss

for a, b in data.repeat(12):
    step(a, b)
"""


def _levels(path: Path) -> Iterator[tuple[str | None, int, set[tuple[str, str]], int]]:
    """Of each window: its level, its steps, its operators by phase, and its matrix products."""
    with open_recording(path) as recording:
        for window in operators.windows(recording):
            rows = operators.operators(recording, [window.id])
            products = sum(row.calls for row in rows if row.name == "MatMul")
            yield window.level, window.step_count, {(r.name, r.phase) for r in rows}, products


def test_xla_s_operators_go_by_tensorflow_s_names_at_each_level(tmp_path: Path) -> None:
    """Two products forward, two for the weights' gradients, one to pass a gradient on."""
    if version() == (2, 16):
        pytest.skip("2.16's XLA tells its profiler of no operator that it runs on a CPU")
    ran = record(tmp_path, JIT)
    windows = list(_levels(ran.path))
    with_levels = {level for level, _, _, _ in windows if level is not None}
    assert with_levels in ({"2", "3"}, {"2"})
    for level, steps, rows, products in windows:
        assert products == 5 * steps, level
        assert ("MatMul", "forward") in rows
        assert ("MatMul", "backward") in rows
        assert ("AssignSubVariableOp", "optimizer") in rows
        assert not any("fusion" in name for name, _ in rows), rows
    assert ran.calls("MatMul", "forward") == 2
    assert ran.calls("MatMul", "backward") == 3
