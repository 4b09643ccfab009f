"""A sampler that raises, which none should: it ends, and both views say so."""

from __future__ import annotations

import queue
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fwtop.devices.samples import RunScope, Samples
from fwtop.recorder import sampling, writer
from fwtop.recorder.notices import Notices
from fwtop.recorder.sampling import DeviceRows, Sampling

PATIENCE_S = 30


class Breaks:
    """A sampler that works once."""

    def __init__(self) -> None:
        self.samples = 0

    def start(self) -> None:
        pass

    def sample(self, run: RunScope) -> Samples:
        self.samples += 1
        if self.samples > 1:
            raise ValueError("no such counter")
        return Samples(at_ns=1)

    def close(self) -> None:
        pass


class Refuses(Breaks):
    """A sampler that cannot begin."""

    def start(self) -> None:
        raise OSError("the driver is gone")


@pytest.mark.parametrize(
    ("kind", "before", "said"),
    [(Breaks, 1, "ValueError: no such counter"), (Refuses, 0, "OSError: the driver is gone")],
)
def test_a_sampler_that_raises_is_told_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[Breaks], before: int, said: str
) -> None:
    module = ModuleType("a_sampler")
    module.Sampler = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_sampler", module)
    monkeypatch.setattr(sampling, "SAMPLERS", (("a_sampler", "Sampler", "the readings"),))
    monkeypatch.setattr(sampling, "START_DELAY_S", 0.0)
    delivered: queue.Queue[Samples] = queue.Queue()
    Sampling(0.0, delivered.put).start()
    found = [delivered.get(timeout=PATIENCE_S) for _ in range(before + 1)]
    assert not any(samples.notices for samples in found[:before])

    recorder = writer.create(tmp_path / "run.fwtop", 0)
    rows = DeviceRows(recorder, Notices(recorder, 0), 0, {})
    for samples in found:
        rows.add(samples)
    assert recorder.flush()
    ((code, severity, text, advice),) = recorder.query(
        "SELECT code, severity, text, next FROM notices"
    )
    recorder.finish("finished")
    assert (code, severity) == ("sampler_failed", "warning")
    assert text.startswith(f"the readings end here: {said} (test_sampling.py:")
    assert advice
