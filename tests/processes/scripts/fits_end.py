"""Keras fits that end in every way, each in a child that os.fork made; the last one by an error.

A child that TensorFlow was only imported before may use it. Each trains alike until it ends.
"""

import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path


def bring_in():
    """TensorFlow is imported on another thread, as a server or a notebook might."""
    global keras, tf
    import keras
    import tensorflow as tf


importing = threading.Thread(target=bring_in)
importing.start()
importing.join()


def fails_in_a_graph():
    tf.function(tf.io.decode_raw)(tf.constant("abc"), tf.int32)


def raises():
    raise ValueError("the data of batch 13 is broken")


ENDINGS = {
    "returns": lambda: None,
    "exits": lambda: sys.exit(3),
    "exits at once": lambda: os._exit(7),
    "interrupted": lambda: os.kill(os.getpid(), signal.SIGINT),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "fails in a graph": fails_in_a_graph,
    "raises": raises,
}


def leave_no_room():
    """Where the process is is no place any more, and no file can be written but of length 0."""
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


class Ends(keras.callbacks.Callback):
    """Ends the third epoch in its midst."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.epoch = 0
        self.losses = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if (self.way, epoch) == ("raises", 2):
            leave_no_room()

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])
        if (self.way, self.epoch) == ("raises", 2):
            time.sleep(0.1)  # so that the last windows are read, and one more is saved, in vain
        if (self.epoch, batch) == (2, 13):
            print(self.way, json.dumps(self.losses), flush=True)
            ENDINGS[self.way]()


def fit(way):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    model.compile("adam", "mse")
    x = keras.random.normal((160, 4))
    model.fit(x, keras.ops.sum(x, axis=1), batch_size=8, epochs=4, verbose=0, callbacks=[Ends(way)])


def main():
    for way in list(ENDINGS)[:-1]:
        child = os.fork()
        if child == 0:
            return fit(way)
        print(way, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return fit("raises")


main()
