"""One Comparison of several runs, which every view renders: queries and analysis put together.

A side of it is a run, or several runs of the same program (repeats).

Which figures are of what:
- Steps, phases, throughput and compiles are of the lowest-rank process that has steps; operators
  and kernels of that process's trace windows, or of all, where it has none. What a run has once
  (devices, host, memory) is as in `fwtop.summary`.
- Means of steps and phases are of all steady steps; medians, quantiles and intervals of at most
  `queries.comparison.MOST_STEPS` of them (see `fwtop.analysis.comparison.bootstrap`).
- The first step, traced and compiled steps are set apart, and compared by themselves.
- Of repeats, figures are means over the runs, except that operators are of all their windows.
- What counts as noise: `fwtop.analysis.comparison.noise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile
from pathlib import Path

from fwtop import json_output, summary
from fwtop.analysis.comparison.configuration import compared_run, differences, notes
from fwtop.analysis.comparison.facts import RunFacts, SideFacts
from fwtop.analysis.comparison.figures import compare_figures
from fwtop.analysis.comparison.findings import compare_findings
from fwtop.analysis.comparison.model import SCHEMA_VERSION, Comparison
from fwtop.analysis.comparison.steps import step_times
from fwtop.analysis.comparison.verdict import coverage, verdict
from fwtop.analysis.comparison.work import compare_work
from fwtop.queries import comparison as queries
from fwtop.queries import steps
from fwtop.recording.store import Recording

__all__ = ["SCHEMA_VERSION", "Comparison", "compare", "to_json"]


ENDINGS = (".fwtop", ".gz", ".json", ".pt.trace", ".xplane.pb", ".log")


def compare(
    recordings: Sequence[Recording],
    sources: Sequence[str | None] | None = None,
    repeats: Sequence[int] | None = None,
) -> Comparison:
    """Compare sides with the first. Raises RecordingError if a recording is damaged, ValueError
    below two sides.

    A recording may be live: it is compared as it is now. `sources` are what to call the runs that
    the user knows by something else than their recordings' files: imported traces. `repeats` says
    how many of the recordings, in their order, are of each side; without it each is one of its own.
    """
    counts = [1] * len(recordings) if repeats is None else list(repeats)
    if len(counts) < 2:
        raise ValueError("a comparison is of two runs or more")
    if min(counts) < 1 or sum(counts) != len(recordings):
        raise ValueError(f"{len(recordings)} recordings are not {counts} runs")
    known_as = sources or [None] * len(recordings)
    runs = iter([gather(*pair) for pair in zip(recordings, known_as, strict=True)])
    return compare_sides([SideFacts(tuple(islice(runs, count))) for count in counts])


def compare_sides(sides: Sequence[SideFacts]) -> Comparison:
    """The comparison of what has been gathered."""
    names = labels(sides)
    figures = compare_figures(sides)
    changes = {row.metric: row.changes for row in figures}
    of_means = changes.get("step_time.mean", (None,) * len(sides))
    return Comparison(
        schema_version=SCHEMA_VERSION,
        runs=tuple(compared_run(side, name) for side, name in zip(sides, names, strict=True)),
        verdicts=(
            None,
            *(
                verdict(
                    sides[0],
                    side,
                    (names[0], name),
                    {metric: row[place] for metric, row in changes.items()},
                )
                for place, (side, name) in enumerate(zip(sides[1:], names[1:], strict=True), 1)
            ),
        ),
        notes=notes(sides, names),
        configuration=differences(sides),
        steps=tuple(step_times(side) for side in sides),
        figures=figures,
        families=compare_work(
            sides, [mean.delta if mean and mean.noise is False else None for mean in of_means]
        ),
        findings=compare_findings([[run.summary for run in side.runs] for side in sides]),
        coverage=coverage(sides, names),
    )


def gather(recording: Recording, source: str | None = None) -> RunFacts:
    """All that a comparison needs of one run. Raises RecordingError if it is damaged."""
    lead = steps.lead_process(recording)
    first = steps.first_step(recording, lead)
    facts = summary.gather(recording)
    return RunFacts(
        path=source or str(recording.path),
        facts=facts,
        summary=summary.of_facts(recording, facts),
        sample=tuple(queries.sampled_steps(recording, lead)),
        apart=queries.apart(recording, lead),
        work=queries.traced_work(recording, lead),
        peak_rss_bytes=queries.peak_rss_bytes(recording),
        contention_ratio=queries.contention_ratio(recording, first.end_ns if first else 0),
    )


def labels(sides: Sequence[SideFacts]) -> list[str]:
    """Short names that differ: the runs' own, else the files', with a number where they meet."""
    files = [_of_side([_stem(run.path) for run in side.runs]) for side in sides]
    own = [_of_side([_stem(run.facts.run.name or run.path) for run in side.runs]) for side in sides]
    if len(set(own)) < len(own):
        own = files
    seen: dict[str, int] = {}
    found = []
    for label in own:
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found


def _of_side(names: Sequence[str]) -> str:
    """What repeats have in common, and how many they are: `base ×3`; else `first +2`."""
    if len(names) == 1:
        return names[0]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    shared = "".join(letters[0] for letters in alike).rstrip("-_.# (")
    return f"{shared} ×{len(names)}" if shared else f"{names[0]} +{len(names) - 1}"


def _stem(path: str) -> str:
    """A file's name without what it has in common with all of its kind."""
    name = Path(path).name
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    return name or Path(path).name


def to_json(comparison: Comparison) -> bytes:
    """The contract's JSON, on one line without its end."""
    return json_output.encode(comparison)
