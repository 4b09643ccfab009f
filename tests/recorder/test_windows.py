"""The worker that decodes windows, on a real file of each format's own making."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from fwtop.recorder.ingest import WindowOf
from fwtop.recorder.traced import DecodedWindow
from fwtop.recorder.windows import WindowWorker
from fwtop_profilers import wire
from tests.traces.xplane_files import START_UNIX_NS, Event, PlaneWriter, environment, real, write

PATIENCE_S = 60
ANCHOR_NS = 5_000


def message(path: Path, *, deep: bool = False, trace_format: str = "xplane") -> wire.Window:
    return wire.Window(
        "w1", str(path), trace_format, deep, 20, 3, 10, 20, ANCHOR_NS, START_UNIX_NS, 1, 1, 1, None,
        "plain", path.stat().st_size, span_phase=["backward"], span_start_ns=[ANCHOR_NS + 100],
        span_end_ns=[ANCHOR_NS + 200],
    )  # fmt: skip


def decoded(folder: Path, *messages: wire.Window) -> list[DecodedWindow]:
    delivered: queue.Queue[DecodedWindow] = queue.Queue()
    worker = WindowWorker(folder, 0, 1, 1 << 20, delivered.put)
    for each in messages:
        worker.add(WindowOf(1, each))
    found = [delivered.get(timeout=PATIENCE_S) for _ in messages]
    worker.stop()
    return found


def test_an_xplane_window_is_decoded_and_its_file_removed(tmp_path: Path) -> None:
    path = tmp_path / "w.xplane.pb"
    path.write_bytes(real("keras-fit"))
    (window,) = decoded(tmp_path, message(path))
    assert window.figures is not None
    assert {"forward", "backward", "optimizer"} <= {row.phase for row in window.figures.operators}
    assert window.figures.details == ()
    assert "decoded" in window.row
    assert not path.exists()


def test_layers_are_kept_of_deep_windows_alone(tmp_path: Path) -> None:
    path = tmp_path / "w.xplane.pb"
    path.write_bytes(real("keras-fit"))
    (window,) = decoded(tmp_path, message(path, deep=True))
    assert window.figures is not None
    assert any(detail.kind == "module" for detail in window.figures.details)


@pytest.mark.parametrize(("start_ns", "phase"), [(150, "backward"), (250, "other")])
def test_spans_are_moved_to_the_trace_s_own_clock(
    tmp_path: Path, start_ns: int, phase: str
) -> None:
    eager = PlaneWriter("/host:CPU").line("python", [Event("EagerLocalExecute: Mul", start_ns, 10)])
    path = write(tmp_path / "w.xplane.pb", eager, environment())
    (window,) = decoded(tmp_path, message(path))
    assert window.figures is not None
    assert [(row.name, row.phase) for row in window.figures.operators] == [("Mul", phase)]


@pytest.mark.parametrize("trace_format", ["xplane", "kineto", "pickle"])
def test_what_cannot_be_decoded_says_why(tmp_path: Path, trace_format: str) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"no trace")
    (window,) = decoded(tmp_path, message(path, trace_format=trace_format))
    assert window.figures is None
    assert "failed" in window.row
    assert not path.exists()
