"""A small real training in TensorFlow: the GPT of `torch_demo.py`, on the same sums.

A script like any user's: it runs under plain `python tensorflow_demo.py`, and knows nothing of
fwtop but the optional `mark`. Model, data, optimizer and command line are those of the PyTorch
demo, so that the two can be compared; the loop is TensorFlow's idiom, a `tf.function` over a
`tf.data` pipeline. It must import nothing of the fwtop package: the interpreter that has
TensorFlow may not have fwtop.
"""

# mypy: disable-error-code="misc, untyped-decorator, no-any-return, no-untyped-call"
from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its greetings would fill the log

try:
    import keras
    import numpy as np
    import tensorflow as tf
    from keras import layers, ops
except ImportError:
    sys.exit("this demo trains with TensorFlow, and this Python has none: pip install tensorflow")

try:
    from fwtop_profilers import mark
except ImportError:

    def mark(name: str, value: object = None) -> None:
        """Without fwtop there is no time axis to put a mark on."""


ALPHABET = "0123456789+= "
WIDTH = 24
"""Characters in a sample: ` 123+456=579`, twice."""


def sums(count: int, seed: int, options: argparse.Namespace, delay_s: float) -> tf.data.Dataset:
    """Batches of sums of two numbers as text, each made when it is asked for, from its index."""

    def encode(index: Any) -> Any:
        if delay_s:
            time.sleep(delay_s)  # what decoding an image or a slow disk would cost
        text = ""
        for part in range(2):
            mixed = (int(index) * 2 + part + seed) * 2654435761 % 2**32
            left, right = mixed % 1000, mixed // 1000 % 1000
            text += f"{left:4d}+{right}={left + right}"[:WIDTH]
        text = text[: WIDTH + 1].ljust(WIDTH + 1)
        return np.array([ALPHABET.index(character) for character in text], dtype=np.int64)

    def sample(index: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(encode, [index], tf.int64), (WIDTH + 1,))

    indices = tf.data.Dataset.range(count)
    if seed == 0:
        indices = indices.shuffle(count, seed=options.seed)
    return indices.map(sample, num_parallel_calls=options.workers or None).batch(options.batch)


class Block(layers.Layer):
    """Attention and a feed-forward network, each behind a normalization."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = layers.LayerNormalization(epsilon=1e-5)
        self.queries_keys_values = layers.Dense(3 * width)
        self.mix = layers.Dense(width)
        self.before_network = layers.LayerNormalization(epsilon=1e-5)
        self.network = keras.Sequential(
            [layers.Dense(4 * width, activation="gelu"), layers.Dense(width)]
        )

    def call(self, x: Any) -> Any:
        """Batch x length x width in, the same out."""
        batch, length, width = ops.shape(x)
        projected = self.queries_keys_values(self.before_attention(x))
        heads = ops.reshape(projected, (batch, length, 3, self.heads, width // self.heads))
        queries, keys, values = ops.unstack(heads, axis=2)
        mixed = ops.dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.mix(ops.reshape(mixed, (batch, length, width)))
        return x + self.network(self.before_network(x))


class AddingGPT(keras.Model):
    """Characters in, logits of each next character out."""

    def __init__(self, depth: int, width: int, heads: int) -> None:
        super().__init__()
        self.characters = layers.Embedding(len(ALPHABET), width, embeddings_initializer="normal")
        self.positions = layers.Embedding(WIDTH, width, embeddings_initializer="normal")
        self.blocks = [Block(width, heads) for _ in range(depth)]
        self.final = layers.LayerNormalization(epsilon=1e-5)
        self.head = layers.Dense(len(ALPHABET))

    def call(self, characters: Any) -> Any:
        """Batch x length in, batch x length x alphabet out."""
        x = self.characters(characters) + self.positions(ops.arange(WIDTH))
        for block in self.blocks:
            x = block(x)
        return self.head(self.final(x))


def smoothed_loss(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Cross-entropy with label smoothing; the branch on data becomes a `tf.cond` when traced."""
    log_probabilities = tf.nn.log_softmax(logits)
    hit = -tf.reduce_mean(tf.gather(log_probabilities, targets, batch_dims=2))
    if hit > 20:
        hit = tf.minimum(hit, 20.0)
    return 0.95 * hit - 0.05 * tf.reduce_mean(log_probabilities)


class Progress:
    """A progress line in the manner of tqdm; whole lines now and then without a terminal."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.terminal = sys.stderr.isatty()
        self.shown_at = 0.0

    def show(self, epoch: int, done: int, loss: float, rate: float) -> None:
        """Draw the line, if the last one is old enough."""
        now = time.monotonic()
        if now - self.shown_at < (0.1 if self.terminal else 2.0) and done < self.total:
            return
        self.shown_at = now
        filled = done * 20 // self.total
        line = f"epoch {epoch} |{'█' * filled}{'·' * (20 - filled)}| {done}/{self.total}"
        line += f" [{rate:5.1f} steps/s, loss {loss:.3f}]"
        ending = "\n" if not self.terminal else ""
        print(("\r" if self.terminal else "") + line, end=ending, file=sys.stderr, flush=True)

    def finish(self) -> None:
        """Leave the line."""
        if self.terminal:
            print(file=sys.stderr)


def make_steps(
    model: keras.Model, options: argparse.Namespace
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The training step and the evaluation of a batch, both giving its loss.

    The last batch of an epoch is shorter: each function is traced once more for its shape, a
    classic, and the Compile panel says so.
    """
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.01, global_clipnorm=1.0)

    def train_step(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = smoothed_loss(model(batch[:, :-1], training=True), batch[:, 1:])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    def judge(batch: Any) -> Any:
        return smoothed_loss(model(batch[:, :-1], training=False), batch[:, 1:])

    model(np.zeros((1, WIDTH), dtype=np.int64))  # makes the weights
    optimizer.build(model.trainable_variables)
    if options.no_compile:
        return train_step, judge
    jit = True if options.compile else None
    return tf.function(train_step, jit_compile=jit), tf.function(judge, jit_compile=jit)


def train(options: argparse.Namespace) -> None:
    """Epochs until the time is over."""
    keras.utils.set_random_seed(options.seed)
    threads = max(1, (os.cpu_count() or 2) // 2)  # the rest is for whoever watches
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    samples = options.batch * options.steps_per_epoch - options.batch // 2  # a shorter last batch
    loader = sums(samples, 0, options, 0.002 if options.slow_input else 0.0)
    held_out = sums(options.batch * 10, 10**6, options, 0.0)
    model = AddingGPT(options.layers, options.width, heads=4)
    train_step, judge = make_steps(model, options)
    total = options.steps_per_epoch
    print(f"training on {device}: {model.count_params():,} parameters, {total} steps an epoch")
    began = time.monotonic()
    for epoch in range(1, 10**6):
        mark("epoch", epoch)
        progress = Progress(total)
        epoch_began = time.monotonic()
        for done, batch in enumerate(loader, 1):
            value = float(train_step(batch))
            progress.show(epoch, done, value, done / (time.monotonic() - epoch_began))
            if time.monotonic() - began > options.seconds:
                break
        progress.finish()
        losses = [float(judge(batch)) for batch in held_out]
        judged = sum(losses) / len(losses)
        print(
            f"epoch {epoch}: train loss {value:.3f}, held-out loss {judged:.3f} "
            f"(perplexity {math.exp(judged):.2f})",
            flush=True,
        )
        if time.monotonic() - began > options.seconds:
            break
    print(f"done: {time.monotonic() - began:.0f} s")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A small GPT that learns to add.")
    parser.add_argument("--seconds", type=float, default=120, help="how long to train")
    parser.add_argument("--compile", action="store_true", help="compile the steps with XLA")
    parser.add_argument("--no-compile", action="store_true", help="run eagerly, as it is")
    parser.add_argument("--slow-input", action="store_true", help="make the input the bottleneck")
    parser.add_argument("--workers", type=int, default=0, help="parallel calls in the input")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--steps-per-epoch", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        train(parse())
    except KeyboardInterrupt:
        print("\nstopped by hand", file=sys.stderr)
