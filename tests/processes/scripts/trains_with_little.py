"""A TensorFlow loop beside a spawned child that trains, without descriptors, and without stdout."""

import json
import multiprocessing
import os
import resource
import sys
from pathlib import Path


def train(count):
    import tensorflow as tf

    tf.random.set_seed(0)
    weights = tf.Variable(tf.ones((4, 1)))
    optimizer = tf.keras.optimizers.SGD(0.01)
    optimizer.build([weights])

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(x @ weights - tf.reduce_sum(x, 1, keepdims=True) * 2))
        optimizer.apply(tape.gradient(loss, [weights]), [weights])
        return loss

    x = tf.random.normal((64, 4), seed=1)
    return [float(step(x)) for _ in range(count)]


def tell(count):
    print(json.dumps(train(count)), flush=True)


def take_all_descriptors():
    """Leaves none; what was taken is returned."""
    highest = max(int(one.name) for one in Path("/proc/self/fd").iterdir())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, before[1]))
    taken = []
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return taken, before


def main():
    child = multiprocessing.get_context("spawn").Process(target=tell, args=(150,))
    child.start()
    child.join()
    tell(100)
    taken, before = take_all_descriptors()
    tell(400)
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    os.close(1)
    print(json.dumps(train(100)), file=sys.stderr)


if __name__ == "__main__":
    main()
