"""Traces, retraces and their causes as a real TensorFlow makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.profilers.collector import Collector
from tests.profilers.tensorflow.scripts import SETUP, train

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def ended(collector: Collector, name: str) -> list[dict[str, Any]]:
    """What was told of a function, once for each event, as it was told last."""
    latest = {said["key"]: said for said in collector.messages("CompileEvent")}
    return [said for said in latest.values() if said["name"] == name]


CAUSES = """
@tf.function
def f(x, training=False):
    return x * 2 if training else x
f(tf.zeros((4, 3)))
f(tf.zeros((5, 3)))
f(tf.zeros((5, 3), tf.float64))
f(tf.zeros((5, 3)), training=True)
f(tf.zeros((5, 3)))

@tf.function(reduce_retracing=True)
def relaxing(x):
    return tf.reduce_sum(x)
for count in range(1, 4):
    relaxing(tf.zeros((count,)))

@tf.function
def inner(y):
    return y

class Lazy(tf.Module):
    weight = None
    @tf.function
    def lazily(self, parts):
        if self.weight is None:
            self.weight = tf.Variable(tf.ones(3))
        return self.weight * parts["a"] + inner(parts["b"][0])
lazy = Lazy()
lazy.lazily({"a": tf.ones(3), "b": [tf.ones(3)]})
lazy.lazily({"a": tf.ones(3), "b": [tf.ones(1)]})

for _ in range(4):
    @tf.function
    def anew(x):
        return x + 1
    anew(tf.zeros(3))

@tf.function(jit_compile=True)
def compiled(x):
    return tf.tanh(x) @ x
compiled(tf.ones((8, 8)))
compiled(tf.ones((8, 8)))

list(data.map(lambda a, b: a + 1))
written = {}
exec("def sourceless(x):\\n  return x + 1\\n", written)
tf.function(written["sourceless"])(tf.ones(2))
"""


def test_causes_in_the_users_words(collector: Collector) -> None:
    train(collector, SETUP + CAUSES)
    told = ended(collector, "f")
    assert [(said["kind"], said["reason"]) for said in told] == [
        ("trace", None),
        ("retrace", "x: shape (4, 3) -> (5, 3)"),
        ("retrace", "x: dtype float32 -> float64"),
        ("retrace", "training: python value False -> True"),
    ]
    script = collector.folder / "train.py"
    lines = script.read_text().splitlines()
    for said in told:
        assert said["file"] == str(script)
        assert lines[said["line"] - 1] == "@tf.function"
        assert said["duration_ns"] > 0
        assert said["detail"]["operators"] >= 1
    called = [int(said["detail"]["called_at"].rpartition(":")[2]) for said in told]
    assert lines[called[1] - 1] == "f(tf.zeros((5, 3)))"

    assert [said["reason"] for said in ended(collector, "relaxing")] == [
        None, "x: shape (1,) -> (None,) (relaxed)",
    ]  # fmt: skip

    # the second trace after variables were created is TensorFlow's own, and is not told
    outer, retraced = ended(collector, "lazily")
    assert retraced["reason"] == "parts['b'][0]: shape (3,) -> (1,)"
    assert [said["parent_key"] for said in ended(collector, "inner")] == [
        outer["key"], retraced["key"],
    ]  # fmt: skip

    kinds = [said["kind"] for said in ended(collector, "anew")]
    assert kinds == ["trace", "trace", "retrace", "retrace"]
    assert "number 4 of them" in ended(collector, "anew")[3]["reason"]

    trace, xla = ended(collector, "compiled")
    assert (trace["kind"], xla["kind"]) == ("trace", "xla")
    assert xla["duration_ns"] > 0

    names = {said["name"] for said in collector.messages("CompileEvent")}
    assert names == {"f", "relaxing", "inner", "lazily", "anew", "compiled", "sourceless"}


XLA = """
@tf.function(jit_compile=True)
def static(x):
    return tf.tanh(x) @ x

@tf.function(jit_compile=True, input_signature=[tf.TensorSpec((None, None))])
def open_shapes(x):
    return tf.tanh(x) @ x

@tf.function(jit_compile=True, reduce_retracing=True)
def relaxed(x, *, scale):
    return tf.tanh(x["a"]) * scale

for size in (4, 8, 16, 8, 4, 16):
    static(tf.ones((size, size)))
    open_shapes(tf.ones((size, size)))
    relaxed({"a": tf.ones((size, 3))}, scale=tf.ones(()))

outer = tf.function(lambda x: open_shapes(x), input_signature=[tf.TensorSpec((None, None))])
for size in (5, 6, 5):
    outer(tf.ones((size, size)))
"""


def test_each_compile_of_xla_is_told_with_its_time(collector: Collector) -> None:
    train(collector, SETUP + XLA)
    for name, traces in (("static", 3), ("open_shapes", 1), ("relaxed", 2)):
        told = ended(collector, name)
        assert len([said for said in told if said["kind"] in ("trace", "retrace")]) == traces, name
        compiled = [said for said in told if said["kind"] == "xla"]
        assert len(compiled) == 3, name
        assert all(said["duration_ns"] > 0 for said in compiled)
        assert all(said["line"] == told[0]["line"] for said in compiled)
    last = ended(collector, "open_shapes")[-1]
    assert last["reason"].startswith("compiled by XLA for shape (16, 16); ")
    assert len([said for said in ended(collector, "<lambda>") if said["kind"] == "xla"]) == 2
