"""Whose trace it is: what an XPlane proves of its process, and what stays unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.traces.model import TracedProcess
from fwtop.traces.xplane import read
from tests.traces.xplane_files import DATA, Event, PlaneWriter, length_delimited, space


def host(*names: str) -> PlaneWriter:
    return PlaneWriter("/host:CPU").line("python", [Event(name, 0, 10) for name in names])


def process(tmp_path: Path, *planes: PlaneWriter, hostnames: tuple[str, ...] = ()) -> TracedProcess:
    path = tmp_path / "t.xplane.pb"
    told = b"".join(length_delimited(4, name.encode()) for name in hostnames)
    path.write_bytes(space(*planes) + told)
    return read(path).process


@pytest.mark.parametrize("name", ["keras-fit", "tf-function", "tf-function-xla", "eager"])
def test_a_real_tensorflow_s(name: str) -> None:
    found = read(DATA / f"{name}.xplane.pb.gz").process
    assert found == TracedProcess(framework="tensorflow")


@pytest.mark.parametrize(
    ("names", "framework"),
    [
        (("EagerLocalExecute: MatMul",), "tensorflow"),
        (("model/dense/MatMul:MatMul",), "tensorflow"),
        (("PjitFunction(train_step)",), "jax"),
        (("EagerLocalExecute: IteratorGetNext", "PjitFunction(train_step)"), "jax"),
        (("jit_train_step(8742)",), "jax"),
        (("Iterator::Root::Prefetch", "TfrtCpuExecutable::Execute", "$train.py:12 jit_step"), None),
        (("a_inference_jit_step_12__XlaMustCompile_true",), None),
    ],
)
def test_the_framework_as_far_as_it_is_proved(
    tmp_path: Path, names: tuple[str, ...], framework: str | None
) -> None:
    assert process(tmp_path, host(*names)).framework == framework


def test_a_device_alone_tells_by_its_kernels_annotations(tmp_path: Path) -> None:
    """Annotations are references to the names of stats."""
    device = PlaneWriter("/device:GPU:0").line("Stream #1(Compute)", [Event("gemm", 0, 10)])
    assert process(tmp_path, device).framework is None
    device.stat("dense/MatMul:MatMul#shape=(f32[8,8])#", 0)
    assert process(tmp_path, device).framework == "tensorflow"


@pytest.mark.parametrize(
    ("hostnames", "expected"),
    [
        ((), None),
        (("trainer-0",), "trainer-0"),
        (("34.83.195.179:6003",), "34.83.195.179"),
        (("a:1", "a:2"), "a"),
        (("a", "b"), None),
        (("",), None),
    ],
)
def test_the_host(tmp_path: Path, hostnames: tuple[str, ...], expected: str | None) -> None:
    found = process(tmp_path, host("a:MatMul"), hostnames=hostnames)
    assert (found.host, found.pid) == (expected, None)
