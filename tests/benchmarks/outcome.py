"""What a benchmark yields, and where it is kept. Owns the shape of results/*.json alone."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- benchmarks -->\n", "<!-- end of benchmarks -->\n"


@dataclass(frozen=True)
class Figure:
    """One measured figure with its spread; `bar` is the most that it may be."""

    name: str
    unit: str
    values: list[float]
    """One a repetition, in the order in which they were taken."""
    bar: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def kept(self) -> bool | None:
        """Whether the median is within the bar; None where there is none."""
        return None if self.bar is None else self.median <= self.bar


@dataclass(frozen=True)
class Outcome:
    """All that one benchmark found."""

    benchmark: str
    what: str
    """What was done, in a sentence: sizes, lengths, repetitions."""
    figures: list[Figure]
    facts: dict[str, Any] = field(default_factory=dict)


def figure(
    name: str, unit: str, values: Sequence[float], bar: float | None = None, note: str = ""
) -> Figure:
    """A figure, rounded to what a noisy machine can tell."""
    return Figure(name, unit, [float(f"{value:.6g}") for value in values], bar, note)


def machine() -> dict[str, Any]:
    """Where it was measured, as far as it explains the figures."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load_1": round(os.getloadavg()[0], 2),
        "at": datetime.now(timezone.utc).isoformat(timespec="minutes"),
    }


def write(outcome: Outcome) -> Path:
    """Keep it as results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{outcome.benchmark}.json"
    path.write_text(json.dumps({"machine": machine(), **asdict(outcome)}, indent=1) + "\n")
    return path


def read_all() -> list[tuple[Outcome, dict[str, Any]]]:
    """Every kept outcome with the machine it was measured on, by name."""
    read = []
    for path in sorted(RESULTS.glob("*.json")):
        body = json.loads(path.read_text())
        where = body.pop("machine")
        figures = [Figure(**row) for row in body.pop("figures")]
        read.append((Outcome(figures=figures, **body), where))
    return read


def table(outcomes: Sequence[Outcome]) -> str:
    """Results as one Markdown table."""
    lines = [
        "| benchmark | figure | median | smallest to largest | runs | bar | |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        for row in outcome.figures:
            low, high = min(row.values), max(row.values)
            bar = "" if row.bar is None else f"≤ {row.bar:g}"
            kept = {None: "", True: "kept", False: "**missed**"}[row.kept]
            told = "; ".join(text for text in (kept, row.note) if text)
            lines.append(
                f"| {outcome.benchmark} | {row.name} | {row.median:.4g} {row.unit} "
                f"| {low:.4g} to {high:.4g} | {len(row.values)} | {bar} | {told} |"
            )
    return "\n".join(lines) + "\n"


def publish() -> None:
    """Put the table of the kept results into the README, between its two marks."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    kept = read_all()
    places = {f"{where['cores']} cores, Python {where['python']}" for _, where in kept}
    text = f"{table([outcome for outcome, _ in kept])}\nMeasured on: {'; '.join(sorted(places))}.\n"
    README.write_text(before + BEGIN + text + END + after)
