from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pynvml
import pytest

from fwtop.devices.nvidia.sampler import NvidiaSampler
from tests.devices.nvidia_clock import Clock
from tests.devices.stand_in import LIBRARY, build, write


@pytest.fixture(scope="session")
def stand_in_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


class Gpus:
    """The stand-in, loaded into this process as pynvml's library."""

    def __init__(self, library: ctypes.CDLL, script: Path) -> None:
        self._library = library
        self._script = script
        self._lines: dict[str, object] = {}

    def set(self, lines: Mapping[str, object]) -> None:
        """Add to what it answers; None takes a line away."""
        self._lines |= lines
        self._lines = {key: value for key, value in self._lines.items() if value is not None}
        write(self._script, self._lines)

    def calls(self, name: str, gpu: int | None = None) -> int:
        """How often a call was made since the library was loaded."""
        full = name if gpu is None else f"{name}.{gpu}"
        return int(self._library.stand_in_calls(full.encode()))


Answer = Callable[[Mapping[str, object]], Gpus]


@pytest.fixture
def gpus(
    stand_in_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Mapping[str, object]], Gpus]]:
    library = ctypes.CDLL(str(stand_in_folder / LIBRARY))
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setenv("NVML_STAND_IN", str(tmp_path / "gpus"))

    def answer(lines: Mapping[str, object]) -> Gpus:
        stand_in = Gpus(library, tmp_path / "gpus")
        stand_in.set(lines)
        return stand_in

    yield answer
    write(tmp_path / "gpus", {"gpus": 0})  # lets go of a call that hangs


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sampler(clock: Clock) -> Iterator[NvidiaSampler]:
    sampler = NvidiaSampler(clock, deadline_s=60)
    yield sampler
    sampler.close()
