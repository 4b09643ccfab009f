"""What others cost the same training step, in the same rounds as fwtop: torch.profiler, TraceML.

torch.profiler as its tutorial has it (every step traced, `key_averages()` after each), and TraceML,
which sees no operators, in a virtual environment of its own. The turns are those of `overhead`.
"""

from __future__ import annotations

import argparse
import subprocess
import sysconfig
import tempfile
import venv
from pathlib import Path

from tests.benchmarks.alternation import Pace
from tests.benchmarks.outcome import Outcome
from tests.benchmarks.overhead import SCRIPT, Bench, facts, figures_of, lengths

VARIANTS = ("fwtop", "torch.profiler", "traceml")


def configure(parser: argparse.ArgumentParser) -> None:
    """How long, and how often."""
    parser.add_argument("--peers-cycles", type=int, default=30, help="of each start")
    parser.add_argument("--peers-repeats", type=int, default=3, help="starts of the scripts")


def measure(options: argparse.Namespace) -> Outcome:
    """The script of `overhead`, with other variants."""
    pace = Pace(8 if options.quick else options.peers_cycles)
    count = 2 if options.quick else options.peers_repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        traceml, told = install_traceml(folder / "traceml")
        variants = [name for name in VARIANTS if traceml or name != "traceml"]
        taken = Bench(folder, SCRIPT, variants, traceml).repeats(count, pace)
    return Outcome(
        "peers",
        f"a small transformer on one CPU thread, {lengths(count, pace)}",
        figures_of(taken),
        {"traceml": told, "repeats": facts(taken)},
    )


def install_traceml(folder: Path) -> tuple[Path | None, str]:
    """TraceML in an environment of its own with this one's torch: (its command, what it is)."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    names = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", names))
    (packages / "torch.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wanted = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "traceml-ai"], capture_output=True, text=True
    )
    asked = subprocess.run(
        [python, "-c", "import traceml_ai; print(traceml_ai.__version__)"],
        capture_output=True,
        text=True,
    )
    if wanted.returncode or asked.returncode:
        return None, f"traceml-ai could not be installed: {(wanted.stderr + asked.stderr)[-300:]}"
    return folder / "bin" / "traceml", f"traceml-ai {asked.stdout.strip()}"
