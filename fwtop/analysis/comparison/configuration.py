"""What the runs were given and found, where it is not the same in all of them; and what makes
their figures hard to compare, in words."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fwtop.analysis.comparison.bootstrap import quantile
from fwtop.analysis.comparison.facts import RunFacts, SideFacts
from fwtop.analysis.comparison.model import ComparedRun, ConfigurationDifference, Repeat
from fwtop.analysis.comparison.noise import SMALLEST
from fwtop.analysis.comparison.steps import SAME_SIZE, of_different_sizes
from fwtop.analysis.summary_model import FrameworkSummary
from fwtop.formatting import format_ratio

NO_DIFFERENCE = frozenset({"SLURM_JOB_ID", "MASTER_PORT", "RANK", "LOCAL_RANK", "GROUP_RANK"})
"""Variables that differ between any two runs, or ranks, and change nothing."""
OWN_OPTIONS = ("overhead_ratio", "deep", "step_on", "interval_s")
"""Of fwtop's own, those that may change a figure."""

ABSENT = "not given"
"""In some of a side's repeats, and in others not."""

Told = dict[tuple[str, str], str]


def compared_run(side: SideFacts, label: str) -> ComparedRun:
    """A side as a column's head."""
    run = side.first
    the_run, summary, process = run.facts.run, run.summary.run, run.facts.process
    return ComparedRun(
        label=label,
        path=run.path,
        id=the_run.id,
        name=the_run.name,
        tags=the_run.tags,
        command=the_run.command,
        host=the_run.host,
        started_unix_ns=the_run.started_unix_ns,
        duration_ns=summary.duration_ns,
        exit_status=the_run.exit_status,
        state=the_run.state,
        source=the_run.source,
        frameworks=summary.frameworks,
        devices=tuple(device.name for device in run.facts.used_devices),
        world_size=summary.world_size,
        git_revision=the_run.git_revision,
        git_dirty=the_run.git_dirty,
        step_source=process.step_source if process else None,
        samples_per_step=side.samples_per_step,
        windows=sum(work.windows for work in side.works),
        steps_traced=sum(work.steps for work in side.works),
        repeats=tuple(_repeat(one) for one in side.runs),
    )


def _repeat(run: RunFacts) -> Repeat:
    the_run, steps = run.facts.run, run.facts.steps
    return Repeat(
        path=run.path,
        id=the_run.id,
        started_unix_ns=the_run.started_unix_ns,
        state=the_run.state,
        exit_status=the_run.exit_status,
        steady_count=steps.steady_count if steps.steady else 0,
        median_ns=quantile(run.durations, 0.5),
        steps_traced=run.work.steps,
    )


def differences(sides: Sequence[SideFacts]) -> tuple[ConfigurationDifference, ...]:
    """Only what differs: command, environment, versions, devices, revision, options.

    Of repeats that differ among themselves, all values are told.
    """
    runs = [run for side in sides for run in side.runs]
    of_runs = [_configuration(run) for run in runs]
    for place, command in enumerate(_commands([run.facts.run.command for run in runs])):
        of_runs[place] = {**command, **of_runs[place]}
    told = []
    for side in sides:
        told.append(_together(of_runs[: len(side.runs)]))
        del of_runs[: len(side.runs)]
    rows = {key: None for configuration in told for key in configuration}
    order = {section: place for place, section in enumerate(
        ("command", "git", "versions", "devices", "environment", "options", "run"))}  # fmt: skip
    found = [
        ConfigurationDifference(section, what, values)
        for section, what in rows
        if len(set(values := tuple(one.get((section, what)) for one in told))) > 1
    ]
    return tuple(sorted(found, key=lambda row: order[row.section]))


def _together(told: Sequence[Told]) -> Told:
    """What the runs of a side were given: one value, or each once."""
    keys = {key: None for one in told for key in one}
    values = {key: list(dict.fromkeys(one.get(key, ABSENT) for one in told)) for key in keys}
    return {key: " | ".join(several) for key, several in values.items()}


def notes(sides: Sequence[SideFacts], labels: Sequence[str]) -> tuple[str, ...]:
    """What a reader must know before believing a figure."""
    found: list[str] = []
    for side, label in zip(sides, labels, strict=True):
        for number, run in enumerate(side.runs, 1):
            which = f" (run {number})" if len(side.runs) > 1 else ""
            found += _of_one(run, f"{label}{which}")
        found += _of_repeats(side, label)
    found += _of_contention(sides, labels)
    for side, label in zip(sides[1:], labels[1:], strict=True):
        found += _of_two(sides[0], side, labels[0], label)
    return tuple(found)


def _of_contention(sides: Sequence[SideFacts], labels: Sequence[str]) -> Iterator[str]:
    held = []
    for side, label in zip(sides, labels, strict=True):
        ratios = [run.contention_ratio for run in side.runs if run.contention_ratio is not None]
        if ratios and max(ratios) > SMALLEST:
            shares = dict.fromkeys(format_ratio(ratio) for ratio in (min(ratios), max(ratios)))
            held.append(f"{' to '.join(shares)} in {label}")
    if held:
        yield (
            f"other programs held the host's cores while none was free ({', '.join(held)}): "
            "times are longer than the program's own"
        )


def _of_repeats(side: SideFacts, label: str) -> Iterator[str]:
    """Repeats are of one program: what they were given should be the same."""
    given = [run.facts.run.command for run in side.runs]
    if len(set(given)) > 1:
        yield f"the runs of {label} have different commands: they may be no repeats of each other"
    sizes = [run.samples_per_step for run in side.runs if run.samples_per_step is not None]
    if sizes and max(sizes) - min(sizes) > SAME_SIZE * min(sizes):
        yield f"the steps of {label}'s runs have from {min(sizes):.4g} to {max(sizes):.4g} samples"


def _of_one(run: RunFacts, label: str) -> Iterator[str]:
    facts = run.facts
    if facts.run.live:
        yield f"{label} has not ended: it is compared as far as it is recorded"
    elif facts.run.state == "lost":
        yield f"{label}'s end was not seen: it is compared as far as it was recorded"
    elif facts.run.exit_status:
        yield f"{label} ended with exit status {facts.run.exit_status}"
    if not facts.steps.count:
        yield f"{label} has no steps: only what needs none is compared"
    elif not facts.steps.steady:
        yield (
            f"every step of {label} was the first, traced or compiled: its times are of such "
            "steps, and longer than without a profiler"
        )
    elif run.resampled.blocks.alike:
        yield (
            f"{label}'s step time drifts: its steps tell as much as "
            f"{run.resampled.blocks.independent:.0f} independent blocks of them"
        )
    if not run.work.steps:
        yield f"{label} has no trace window: its operators are not known"


def _of_two(a_side: SideFacts, b_side: SideFacts, first: str, second: str) -> Iterator[str]:
    one, two = a_side.first, b_side.first
    if of_different_sizes(a_side, b_side):
        yield (
            f"a step has {a_side.samples_per_step:.4g} samples in {first} and "
            f"{b_side.samples_per_step:.4g} in {second}: compare the time a sample and samples a "
            "second; operators are a step"
        )
    a, b = (run.facts.process.step_source if run.facts.process else None for run in (one, two))
    if a is not None and b is not None and a != b:
        yield f"a step is bounded by {a} in {first} and by {b} in {second}: it may not be the same"
    for run, label, other in ((one, first, two), (two, second, one)):
        own, others = run.facts.steps.phases_ns, other.facts.steps.phases_ns
        lacking = [phase for phase in others if phase not in own]
        if lacking and "other" in own:
            yield f"{label} does not tell {', '.join(lacking)}: it is within its other time"
    names = [{framework.name for framework in run.summary.run.frameworks} for run in (one, two)]
    if names[0] and names[1] and not names[0] & names[1]:
        yield (
            f"{first} is {_words(names[0])} and {second} {_words(names[1])}: operators have other "
            "names, so compare the families"
        )


def _configuration(run: RunFacts) -> Told:
    the_run, process = run.facts.run, run.facts.process
    told: Told = {}

    def tell(section: str, what: str, value: Any) -> None:
        if value is not None and value != "":
            told[section, what] = _text(value)

    tell("git", "revision", the_run.git_revision)
    tell("git", "uncommitted changes", the_run.git_dirty)
    for framework in _by_name(run.summary.run.frameworks):
        tell("versions", framework.name, framework.version)
    tell("versions", "python", process.python_version if process else None)
    for name, value in the_run.versions.items():
        tell("versions", name, value)
    tell("versions", "fwtop", the_run.fwtop_version)
    tell("devices", "GPUs", _devices(run))
    tell("devices", "device of the steps", process.device if process else None)
    for name, value in the_run.environment.items():
        if name not in NO_DIFFERENCE:
            tell("environment", name, value)
    for name in OWN_OPTIONS:
        tell("options", name, the_run.options.get(name))
    tell("run", "host", the_run.host)
    tell("run", "folder", the_run.cwd)
    tell("run", "cores", run.facts.cores)
    tell("run", "world size", run.summary.run.world_size)
    tell("run", "steps bounded by", process.step_source if process else None)
    size = run.samples_per_step
    tell("run", "samples a step", None if size is None else f"{size:.4g}")
    tell("run", "source", the_run.source)
    return told


def _commands(commands: Sequence[tuple[str, ...]]) -> list[Told]:
    """By option, where only options differ; else the whole commands."""
    parsed = [_parsed(command) for command in commands]
    if all(plain == parsed[0][0] for plain, _ in parsed):
        return [{("command", name): value for name, value in options.items()}
                for _, options in parsed]  # fmt: skip
    return [{("command", "command"): shlex.join(command)} for command in commands]


def _parsed(command: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """The words of a command that are no options, and its options."""
    plain: list[str] = []
    options: dict[str, str] = {}
    place = 0
    while place < len(command):
        word = command[place]
        place += 1
        if len(word) < 2 or not word.startswith("-") or word[1].isdigit() or word[1] == ".":
            plain.append(word)
            continue
        name, given, value = word.partition("=")
        if not given:
            following = command[place] if place < len(command) else "-"
            if following.startswith("-") and not following[1:2].isdigit():
                value = "given"
            else:
                value = following
                place += 1
        options[name] = f"{options[name]} {value}" if name in options else value
    return plain, options


def _devices(run: RunFacts) -> str | None:
    names = Counter(device.name for device in run.facts.used_devices)
    return ", ".join(f"{count} × {name}" for name, count in sorted(names.items())) or None


def _by_name(frameworks: Sequence[FrameworkSummary]) -> list[FrameworkSummary]:
    return sorted(frameworks, key=lambda one: (one.name, one.version))


def _words(names: set[str]) -> str:
    return " and ".join(sorted(names))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in sorted(value.items()))
    return str(value)
