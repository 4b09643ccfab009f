"""Makes the XPlane files beside it, with a real TensorFlow: `python make_xplane.py`.

A classifier of two dense layers, trained with Adam, is traced for three steps of 16 samples each
way: Keras' fit, a `@tf.function` step, the same compiled by XLA, and an eager loop. The tests know
what those steps must execute. tensorflow-cpu 2.21.0 and keras 3.15.1 made the ones that are kept.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.profiler.internal import _pywrap_profiler, _pywrap_traceme
from tensorflow.tsl.profiler.protobuf import xplane_pb2

FIRST, STEPS, BATCH = 20, 3, 16


class Session:
    """The profiler's session, from the first traced step to the last."""

    def __init__(self, path: Path):
        self._path = path
        self._folder = tempfile.TemporaryDirectory()
        self._session: Any = None
        self._step: Any = None

    def begin(self, step: int) -> None:
        if step == FIRST:
            self._session = _pywrap_profiler.ProfilerSession()
            self._session.start(self._folder.name, {})
        if FIRST <= step < FIRST + STEPS:
            self._step = _pywrap_traceme.TraceMe("fwtop_step", step=step)

    def end(self, step: int) -> None:
        if not FIRST <= step < FIRST + STEPS:
            return
        self._step.Stop()
        if step == FIRST + STEPS - 1:
            self._session.export_to_tb()
            (found,) = Path(self._folder.name).glob("**/*.xplane.pb")
            self._path.write_bytes(gzip.compress(without_paths(found.read_bytes()), mtime=0))


class Steps(keras.callbacks.Callback):
    def __init__(self, session: Session):
        super().__init__()
        self._session = session

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._session.begin(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._session.end(batch)


def without_paths(data: bytes) -> bytes:
    """The profile without names of the machine's folders: its options, and XLA's source files."""
    space = xplane_pb2.XSpace.FromString(data)
    for plane in space.planes:
        kept = [s for s in plane.stats if plane.stat_metadata[s.metadata_id].name[-7:] != "options"]
        del plane.stats[:]
        plane.stats.extend(kept)
    del space.hostnames[:]
    prefix = sys.prefix.encode()
    return space.SerializeToString().replace(prefix, b"/" + b"v" * (len(prefix) - 1))


def dataset() -> tf.data.Dataset:
    random = np.random.default_rng(1)
    inputs = random.random((512, 16), dtype="float32")
    data = tf.data.Dataset.from_tensor_slices((inputs, random.integers(0, 4, 512)))
    return data.shuffle(64).map(lambda x, y: (x * 2.0, y), num_parallel_calls=2).batch(BATCH)


def model() -> keras.Model:
    layers = [keras.layers.Dense(32, activation="relu"), keras.layers.Dense(4)]
    return keras.Sequential([keras.layers.Input((16,)), *layers])


def loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def fit(path: Path) -> None:
    trained = model()
    trained.compile(keras.optimizers.Adam(), loss(), jit_compile=False)
    trained.fit(dataset().prefetch(2), epochs=1, verbose=0, callbacks=[Steps(Session(path))])


def loop(path: Path, wrap: Callable[[Any], Any]) -> None:
    trained, optimizer, criterion, session = model(), keras.optimizers.Adam(), loss(), Session(path)

    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            value = criterion(y, trained(x, training=True))
        optimizer.apply(tape.gradient(value, trained.trainable_variables))
        return value

    optimizer.build(trained.trainable_variables)
    step = wrap(step)
    for number, (x, y) in enumerate(dataset()):
        session.begin(number)
        step(x, y)
        session.end(number)


if __name__ == "__main__":
    here = Path(__file__).parent
    fit(here / "keras-fit.xplane.pb.gz")
    loop(here / "tf-function.xplane.pb.gz", tf.function)
    loop(here / "tf-function-xla.xplane.pb.gz", lambda f: tf.function(f, jit_compile=True))
    loop(here / "eager.xplane.pb.gz", lambda f: f)
