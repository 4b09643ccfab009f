"""Trains a small network with TensorFlow, and times its own steps (see `step_times`).

    tensorflow_steps.py RESULT.json [--kind fit|loop]

`fit` is Keras' own loop, `loop` a custom one around a `tf.function`. An untouched step takes about
5 ms on one core.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
from step_times import StepTimes
from turns import Turns

parser = argparse.ArgumentParser()
parser.add_argument("result")
parser.add_argument("--kind", choices=("fit", "loop"), default="fit")
parser.add_argument("--turns", type=int, default=0, help="in and out, in this process")
parser.add_argument("--batch", type=int, default=48)
parser.add_argument("--layers", type=int, default=18)
options = parser.parse_args()

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras.utils.set_random_seed(0)
WIDTH, BATCHES, EPOCH = 192, 64, 10_000
model = keras.Sequential(
    [keras.layers.Dense(WIDTH, activation="relu") for _ in range(options.layers)]
    + [keras.layers.Dense(10)]
)
optimizer = keras.optimizers.Adam(1e-3)
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
features = tf.random.normal((BATCHES, options.batch, WIDTH), seed=1)
labels = tf.random.uniform((BATCHES, options.batch), 0, 10, tf.int32, seed=2)
data = tf.data.Dataset.from_tensor_slices((features, labels)).repeat()
times = Turns(options.result, options.turns) if options.turns else StepTimes(options.result)


class Clock(keras.callbacks.Callback):
    """The script's own clock in Keras' loop."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After each batch."""
        if times.ended():
            self.model.stop_training = True


def fit() -> float:
    """Keras' loop."""
    model.compile(optimizer=optimizer, loss=loss_of)
    history = model.fit(data, epochs=10**6, steps_per_epoch=EPOCH, verbose=0, callbacks=[Clock()])
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

    for batch, wanted in data:
        value = float(train_step(batch, wanted))
        if times.ended():
            return value
    raise AssertionError("the data never end")


times.write(fit() if options.kind == "fit" else loop())
