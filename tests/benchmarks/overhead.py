"""What being watched costs a training step: plain and fwtop by turns (`peers`: others too).

The step times are the script's own (see scripts/transformer_steps.py). In each round the variants
run one after the other, and a plain run comes before the first, between rounds and at the end: a
ratio is of a run and the mean of the plain runs before and after its round, so that a machine that
grows slower or faster does not pass for a cost. The ratio of CPU times says what the script's
process itself did more, whatever else the machine was doing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.commands import FWTOP, SCRIPTS, environment, record, timed
from tests.benchmarks.outcome import Figure, Outcome, figure

SCRIPT = [str(SCRIPTS / "transformer_steps.py")]
VARIANTS = ("plain", "fwtop", "fwtop-0", "torch.profiler", "traceml")
BARS = {"fwtop": 1.02, "fwtop-0": 1.005}
"""The default budget of 1 %, and as much again for the hooks; without windows, the hooks alone."""


def configure(parser: argparse.ArgumentParser) -> None:
    """How long, and what."""
    parser.add_argument("--overhead-seconds", type=float, default=60, help="of each run")
    parser.add_argument("--overhead-rounds", type=int, default=5)
    parser.add_argument("--overhead-variants", default="plain,fwtop,fwtop-0")


@dataclass
class Bench:
    """The places that the runs share."""

    folder: Path
    seconds: float
    script: list[str]
    """The script and its options, but for where its result goes and how long it runs."""
    traceml: Path | None = None
    """The interpreter that has it, or None."""

    def run(self, variant: str) -> dict[str, Any]:
        """One run of one variant; the script's figures, and the governor's where there is one."""
        result = self.folder / "result.json"
        recording = self.folder / "run.fwtop"
        script = [self.script[0], str(result), "--seconds", str(self.seconds), *self.script[1:]]
        python = [sys.executable, *script]
        argv = {
            "plain": python,
            "fwtop": [*record(recording), *script],
            "fwtop-0": [*record(recording, "--overhead", "0"), *script],
            "torch.profiler": [*python, "--profile", "torch"],
            "traceml": self._traceml(script),
        }[variant]
        timed(argv, environment(self.folder), timeout_s=self.seconds * 30 + 300)
        said: dict[str, Any] = json.loads(result.read_text())
        if variant.startswith("fwtop"):
            summary = subprocess.run(
                [FWTOP, "summary", str(recording), "--json"], capture_output=True, check=True
            )
            said["overhead"] = json.loads(summary.stdout)["overhead"]
            said["recorded_steps"] = json.loads(summary.stdout)["steps"]["count"]
            said["recording_bytes"] = recording.stat().st_size
        return said

    def _traceml(self, script: list[str]) -> list[str]:
        if self.traceml is None:
            return []
        logs = tempfile.mkdtemp(dir=self.folder)
        own = [script[0], "--logs-dir", logs, "--args", *script[1:], "--profile", "traceml"]
        return [str(self.traceml.with_name("traceml")), "run", *own]


def install_traceml(folder: Path) -> tuple[Path | None, str]:
    """TraceML in an environment of its own that sees this one's torch: (its python, what it is)."""
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
    return python, f"traceml-ai {asked.stdout.strip()}"


def measure(options: argparse.Namespace) -> Outcome:
    """All variants, round by round."""
    seconds = 5.0 if options.quick else options.overhead_seconds
    rounds = 1 if options.quick else options.overhead_rounds
    variants = [name for name in VARIANTS if name in options.overhead_variants.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        traceml, told = None, "not asked for"
        if "traceml" in variants:
            traceml, told = install_traceml(folder / "traceml")
        if traceml is None:
            variants = [name for name in variants if name != "traceml"]
        runs = by_turns(Bench(folder, seconds, SCRIPT, traceml), variants, rounds)
    return Outcome(
        "overhead",
        f"a small transformer on one CPU thread, {seconds:g} s a run, {rounds} rounds by turns",
        figures_of(runs),
        {"traceml": told, "runs": runs},
    )


def by_turns(bench: Bench, variants: list[str], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """What each variant's runs said, round by round; of `plain`, one run more."""
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for number in range(rounds):
        for variant in variants:
            runs[variant].append(bench.run(variant))
            mean_ms = 1e3 * runs[variant][-1]["mean_s"]
            print(f"  round {number}: {variant} {mean_ms:.2f} ms", file=sys.stderr, flush=True)
    runs["plain"].append(bench.run("plain"))
    return runs


def figures_of(runs: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """The ratios of `by_turns`' runs, and what fwtop says of itself."""
    plain = runs["plain"]
    figures = [figure("plain step, mean", "ms", [1e3 * run["mean_s"] for run in plain])]
    for variant, taken in runs.items():
        if variant == "plain":
            continue
        wall = _ratios(taken, plain, "mean_s")
        figures.append(figure(f"{variant} / plain, mean step", "x", wall, BARS.get(variant)))
        cpu = _ratios(taken, plain, "mean_cpu_s")
        figures.append(figure(f"{variant} / plain, CPU time a step", "x", cpu))
    told = [run["overhead"]["measured_ratio"] for run in runs.get("fwtop", [])]
    known = [1 + value for value in told if value is not None]
    if known:
        figures.append(figure("what fwtop itself says", "x", known))
        figures.append(
            figure("windows a run", "", [run["overhead"]["windows"] for run in runs["fwtop"]])
        )
    return figures


def _ratios(taken: list[dict[str, Any]], plain: list[dict[str, Any]], field: str) -> list[float]:
    """Each run against the plain ones on both sides of its round."""
    return [
        run[field] / ((before[field] + after[field]) / 2)
        for run, (before, after) in zip(taken, pairwise(plain), strict=True)
    ]
