"""Trains a small network with TensorFlow, and times its own steps with `perf_counter`.

    tensorflow_steps.py RESULT.json --seconds N [--kind fit|loop]

`fit` is Keras' own loop, `loop` a custom one around a `tf.function`. The timing is that of
`transformer_steps.py`: from the end of one step to the end of the next. An untouched step takes
about 5 ms on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from itertools import pairwise
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("result")
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--kind", choices=("fit", "loop"), default="fit")
parser.add_argument("--batch", type=int, default=48)
parser.add_argument("--layers", type=int, default=18)
options = parser.parse_args()

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras.utils.set_random_seed(0)
WIDTH, WARM_UP_STEPS = 192, 20
model = keras.Sequential(
    [keras.layers.Dense(WIDTH, activation="relu") for _ in range(options.layers)]
    + [keras.layers.Dense(10)]
)
optimizer = keras.optimizers.Adam(1e-3)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
features = tf.random.normal((options.batch * 64, WIDTH), seed=1)
labels = tf.random.uniform((options.batch * 64,), 0, 10, tf.int32, seed=2)
data = tf.data.Dataset.from_tensor_slices((features, labels)).batch(options.batch)
ends: list[float] = []
cpu: list[float] = []  # of the whole process, so also of what a profiler's threads do
began = time.perf_counter()


def step_ended() -> bool:
    """Note the time; whether it is time to stop."""
    ends.append(time.perf_counter())
    cpu.append(time.process_time())
    return ends[-1] - began >= options.seconds


class Clock(keras.callbacks.Callback):
    """The script's own clock in Keras' loop."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After each batch."""
        if step_ended():
            self.model.stop_training = True


def fit() -> float:
    """Keras' loop."""
    model.compile(optimizer=optimizer, loss=loss_of)
    history = model.fit(data, epochs=10**6, verbose=0, callbacks=[Clock()])
    return float(history.history["loss"][-1])


def loop() -> float:
    """A loop by hand."""
    model.build((options.batch, WIDTH))
    optimizer.build(model.trainable_variables)

    @tf.function
    def train_step(batch: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(wanted, model(batch, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    while True:
        for batch, wanted in data:
            value = float(train_step(batch, wanted))
            if step_ended():
                return value


last_loss = fit() if options.kind == "fit" else loop()
warm_up = min(WARM_UP_STEPS, len(ends) // 4)
ends, cpu = ends[warm_up:], cpu[warm_up:]
counted = [after - before for before, after in pairwise(ends)]
with open(options.result, "w") as file:
    json.dump(
        {
            "steps": len(counted),
            "mean_s": sum(counted) / len(counted),
            "median_s": sorted(counted)[len(counted) // 2],
            "largest_s": max(counted),
            "mean_cpu_s": (cpu[-1] - cpu[0]) / len(counted),
            "loss": last_loss,
        },
        file,
    )
print(f"{len(counted)} steps, mean {1e3 * sum(counted) / len(counted):.3f} ms", file=sys.stderr)
