"""Trace windows of a real TensorFlow: readable, silent, and gone when the script profiles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.profilers.collector import Collector
from tests.profilers.tensorflow.reading import reading
from tests.profilers.tensorflow.scripts import (
    EAGER,
    PYTHON,
    SETUP,
    has_own_log,
    script,
    train,
    train_plain,
    why_not,
    with_windows,
)

pytestmark = pytest.mark.tensorflow

FIT = (
    SETUP
    + """
model = make(64)
model.compile("adam", "mse")
model.fit(x, y, batch_size=8, epochs=40, verbose=0)
print(float(model.evaluate(x, y, verbose=0)))
"""
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def test_windows_of_fit_hold_operators_and_print_nothing(collector: Collector) -> None:
    if why_not():
        pytest.skip(why_not())
    with reading(collector) as traces:
        result = train(collector, FIT, FWTOP_OVERHEAD="1", **with_windows())
    assert result.stdout == train_plain(collector, FIT)
    for line in result.stderr.splitlines():
        assert "profiler" not in line.lower()
    assert len(traces) >= 3
    assert {window["format"] for window, _ in traces} == {"xplane"}
    if {window["way"] for window, _ in traces} == {"session, levels"}:
        assert {window["level"] for window, _ in traces} == {"2", "3"}
    for window, trace in traces:
        assert window["step_count"] == len(window["step_start_ns"]) >= 1
        if window["counted"]:
            names = [name for track in trace.tracks for name in track.names]
            assert any("MatMul" in name for name in names), window
    left = [path for path in collector.folder.iterdir() if path.name.startswith(".tb")]
    assert left == []


def test_without_a_level_that_silences_it_there_are_no_windows(collector: Collector) -> None:
    if not has_own_log():
        pytest.skip("from 2.19 on windows are silent by themselves")
    result = train(collector, FIT, FWTOP_OVERHEAD="1")
    assert "profiler" not in result.stderr.lower()
    assert len(collector.steps()) == 400
    assert collector.messages("Window") == []
    hooks = collector.messages("Framework")[-1]["hooks"]
    assert "TF_CPP_MIN_LOG_LEVEL=1" in hooks["windows"]


OWN_PROFILE = (
    EAGER
    + """
step = tf.function(step)
def some():
    for a, b in data.repeat(4):
        step(a, b)
some()
for at in range(3):
    tf.profiler.experimental.start(os.path.join(sys.argv[1], str(at)))
    some()
    tf.profiler.experimental.stop()
    some()

class AsTensorBoard(keras.callbacks.Callback):  # as its profile_batch does
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 5:
            tf.profiler.experimental.start(os.path.join(sys.argv[1], "fit"))
    def on_train_batch_end(self, batch, logs=None):
        if batch == 8:
            tf.profiler.experimental.stop()
model.compile("sgd", "mse")
model.fit(x, y, batch_size=8, epochs=1, verbose=0, callbacks=[AsTensorBoard()])
print("done")
"""
)


def test_the_scripts_own_profiler_wins(collector: Collector) -> None:
    theirs = collector.folder / "theirs"
    with reading(collector) as traces:
        result = train(collector, OWN_PROFILE, str(theirs), FWTOP_OVERHEAD="1", **with_windows())
    assert result.stdout == "done\n"
    assert "Another profiler" not in result.stderr
    written = {path.relative_to(theirs).parts[0] for path in theirs.rglob("*.xplane.pb")}
    assert written == {"0", "1", "2", "fit"}
    assert traces
    waited = {said["waiting_for"] for said in collector.messages("Governor")}
    assert "the script's own profiler" in waited


def test_hooks_come_out_again(collector: Collector) -> None:
    if why_not():
        pytest.skip(why_not())
    code = """
from fwtop_profilers import startup
from tensorflow.python.eager import backprop
from tensorflow.python.eager.polymorphic_function import polymorphic_function, tracing_compilation
from tensorflow.python.profiler import profiler_v2
from keras.src.callbacks.callback_list import CallbackList
from keras.src.optimizers.base_optimizer import BaseOptimizer
def patched():
    places = [
        (polymorphic_function.Function, "__call__"), (backprop.GradientTape, "gradient"),
        (tracing_compilation, "_create_concrete_function"), (BaseOptimizer, "apply"),
        (CallbackList, "on_train_batch_end"),
    ]
    mine = [hasattr(getattr(owner, name), "fwtop_original") for owner, name in places]
    return mine + [type(profiler_v2._pywrap_profiler).__name__ == "_Watched"]
assert all(patched()), patched()
for probe in startup.session._probes.values():
    probe.uninstall()
    probe.uninstall()
assert not any(patched()), patched()
for a, b in data:
    step(a, b)
"""
    train(collector, EAGER + code, **with_windows())
    assert collector.steps() == []


def test_record_and_summary_of_an_interpreter_without_fwtop(
    collector: Collector, tmp_path: Path
) -> None:
    if why_not():
        pytest.skip(why_not())
    recording = tmp_path / "fit.fwtop"
    argv = ["-m", "fwtop", "record", "--python", PYTHON, "--overhead", "100%", "-o", recording]
    done = subprocess.run(
        [sys.executable, *map(str, argv), script(collector, FIT)],
        env={**os.environ, **with_windows()}, capture_output=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = subprocess.run(
        [sys.executable, "-m", "fwtop", "summary", str(recording), "--json"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    summary = json.loads(told.stdout)
    assert summary["steps"]["count"] == 400
    assert summary["steps"]["phases"].get("forward") is None
    assert {"tensorflow", "keras"} <= {each["name"] for each in summary["run"]["frameworks"]}
    assert {row["phase"] for row in summary["operators"]["rows"]} >= {
        "forward", "backward", "optimizer",
    }  # fmt: skip
    assert summary["losses"]["windows_failed"] == 0
    assert summary["losses"]["probe_failures"] == []
