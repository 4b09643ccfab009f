"""`python -m screenshots.make` (`make screenshots`): the pictures, from real runs.

Records the PyTorch demo twice, as it is and with a slow input, and TensorFlow's once, and drives
the real viewer over them: live while they train, on the finished recordings, and comparing them.
Where the GPU is to be seen it opens a trace that others made of one. Nothing is drawn by hand. PNG
comes from rsvg-convert, where it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fwtop import run_folder
from fwtop.cli.sources import opened
from fwtop.run_folder import RunFolder
from fwtop.tui.app import FwtopApp
from fwtop.tui.compare.app import CompareApp
from fwtop.tui.compare.picture import Source
from screenshots.cells import svg_of

HERE = Path(__file__).parent
DEMOS = HERE.parent / "fwtop" / "demo"
GPU_TRACE = HERE.parent.parent / "shared" / "traces" / "kineto-resnet50-v100-workers0.json.gz"
"""A ResNet-50 on a V100, of the PyTorch profiler's own test data; without it its picture stays."""
FWTOP = str(Path(sys.executable).with_name("fwtop"))
SIZES = ((80, 24), (120, 40), (200, 50))
LIVE_AFTER_S = 25
"""By then there are epochs, windows, graph breaks and a recompile to see."""
PATIENCE_S = 60


@dataclass(frozen=True)
class Picture:
    """One picture: its name, the terminal's size, and the keys that lead to it."""

    name: str
    size: tuple[int, int]
    keys: Sequence[str] = ()

    @property
    def file(self) -> str:
        """Its file's name, without the ending."""
        return f"{self.name}-{self.size[0]}x{self.size[1]}"


LIVE = [Picture("overview", size) for size in SIZES]
FINISHED = [
    Picture("steps", (120, 40), ("1",)),
    Picture("operators", (120, 40), ("2",)),
    Picture("compile", (120, 40), ("3",)),
    Picture("host", (120, 40), ("5",)),
    Picture("log", (120, 40), ("6",)),
    Picture("help", (120, 40), ("question_mark",)),
    Picture("finished", (120, 40)),
]
SLOW_INPUT = [Picture("slow-input", (120, 40)), Picture("findings", (120, 40), ("7",))]


TENSORFLOW = [Picture("tensorflow", (120, 40))]
COMPARED = [Picture("compare", (120, 40)), Picture("compare-operators", (120, 40), ("2", "space"))]
COMPARED_FRAMEWORKS = [Picture("compare-frameworks", (120, 40))]
GPU = [Picture("device-time", (120, 40), ("4",))]


def start_demo(recording: Path, *options: str, framework: str = "torch") -> subprocess.Popen[bytes]:
    """The demo's script as a user's own `train.py`, recorded on a terminal of 100 columns."""
    shutil.copy(DEMOS / f"{framework}_demo.py", recording.parent / "train.py")
    argv = [FWTOP, "record", "--python", sys.executable, "-o", str(recording), "train.py"]
    terminal, script_side = pty.openpty()
    termios.tcsetwinsize(script_side, (30, 100))
    run = subprocess.Popen(
        [*argv, "--workers", "0", *options],
        cwd=recording.parent,
        stdin=script_side,
        stdout=script_side,
        stderr=script_side,
        start_new_session=True,
    )
    os.close(script_side)
    threading.Thread(target=_drain, args=(terminal,), daemon=True).start()
    return run


def _drain(terminal: int) -> None:
    """Take what the terminal shows, until nobody writes to it any more (EIO)."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def folder_of(recording: Path) -> RunFolder:
    """The live run that writes `recording`. Raises RuntimeError if none does in time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for folder in run_folder.existing():
            try:
                body = json.loads(folder.recorder.read_text())
            except (OSError, ValueError):
                continue
            if body["recording"] == str(recording):
                return folder
        time.sleep(0.1)
    raise RuntimeError("the demo has not started")


async def take(picture: Picture, recording: Path, folder: RunFolder | None) -> Path:
    """Open the viewer, press the keys, keep what it shows."""
    app = FwtopApp(recording, folder)
    async with app.run_test(size=picture.size) as pilot:
        deadline = time.monotonic() + PATIENCE_S
        while app.snapshot is None and time.monotonic() < deadline:
            await pilot.pause(0.1)
        if app.snapshot is None:
            raise RuntimeError(f"the viewer shows nothing of {recording}")
        await pilot.press(*picture.keys)
        await pilot.pause(1.5 if picture.keys or folder is not None else 0.5)
        path = HERE / f"{picture.file}.svg"
        path.write_text(svg_of(app))
    return path


async def take_comparison(picture: Picture, recordings: Sequence[Path]) -> Path:
    """Compare the recordings on the screen, press the keys, keep what it shows."""
    app = CompareApp([Source(recording, recording.stem) for recording in recordings])
    async with app.run_test(size=picture.size) as pilot:
        deadline = time.monotonic() + PATIENCE_S
        while app.picture.comparison is None and time.monotonic() < deadline:
            await pilot.pause(0.1)
        await pilot.pause(0.5)
        await pilot.press(*picture.keys)
        await pilot.pause(1)
        path = HERE / f"{picture.file}.svg"
        path.write_text(svg_of(app))
    return path


def to_png(svg: Path) -> Path:
    """A PNG beside the SVG, which then goes; the SVG itself where there is no rsvg-convert."""
    if shutil.which("rsvg-convert") is None:
        print("rsvg-convert is not installed (librsvg2-bin): the SVG is kept", file=sys.stderr)
        return svg
    png = svg.with_suffix(".png")
    subprocess.run(["rsvg-convert", "--output", png, svg], check=True)
    svg.unlink()
    return png


def main() -> int:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep-svg", action="store_true", help="do not convert")
    options = parser.parse_args()
    taken: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="fw", dir="/tmp") as name:
        os.environ["TMPDIR"] = tempfile.tempdir = name
        plain, slow = Path(name) / "demo.fwtop", Path(name) / "slow-input.fwtop"
        demo = start_demo(plain, "--seconds", str(LIVE_AFTER_S + 20))
        folder = folder_of(plain)
        time.sleep(LIVE_AFTER_S)
        taken += [asyncio.run(take(picture, plain, folder)) for picture in LIVE]
        demo.wait()
        taken += [asyncio.run(take(picture, plain, None)) for picture in FINISHED]
        start_demo(slow, "--slow-input", "--seconds", "20").wait()
        taken += [asyncio.run(take(picture, slow, None)) for picture in SLOW_INPUT]
        other = Path(name) / "tensorflow.fwtop"
        demo = start_demo(other, "--seconds", str(LIVE_AFTER_S + 10), framework="tensorflow")
        folder = folder_of(other)
        time.sleep(LIVE_AFTER_S)
        taken += [asyncio.run(take(picture, other, folder)) for picture in TENSORFLOW]
        demo.wait()
        taken += [asyncio.run(take_comparison(one, (plain, slow))) for one in COMPARED]
        both = (plain, other)
        taken += [asyncio.run(take_comparison(one, both)) for one in COMPARED_FRAMEWORKS]
        if GPU_TRACE.exists():
            with opened([str(GPU_TRACE)]) as recording:
                taken += [asyncio.run(take(picture, recording, None)) for picture in GPU]
    for path in taken:
        print(path if options.keep_svg else to_png(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
