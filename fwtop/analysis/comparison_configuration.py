"""What the runs were given and found, where it is not the same in all of them; and what makes
their figures hard to compare, in words."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fwtop.analysis.comparison_facts import RunFacts
from fwtop.analysis.comparison_model import ComparedRun, ConfigurationDifference
from fwtop.analysis.comparison_noise import SMALLEST
from fwtop.analysis.comparison_steps import of_different_sizes
from fwtop.analysis.summary_model import FrameworkSummary
from fwtop.formatting import format_ratio

NO_DIFFERENCE = frozenset({"SLURM_JOB_ID", "MASTER_PORT", "RANK", "LOCAL_RANK", "GROUP_RANK"})
"""Variables that differ between any two runs, or ranks, and change nothing."""
OWN_OPTIONS = ("overhead_ratio", "deep", "step_on", "interval_s")
"""Of fwtop's own, those that may change a figure."""

Told = dict[tuple[str, str], str]


def compared_run(run: RunFacts, label: str) -> ComparedRun:
    """A run as a column's head."""
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
        samples_per_step=run.samples_per_step,
        windows=run.work.windows,
        steps_traced=run.work.steps,
    )


def differences(runs: Sequence[RunFacts]) -> tuple[ConfigurationDifference, ...]:
    """Only what differs: command, environment, versions, devices, revision, options."""
    told = [_configuration(run) for run in runs]
    for place, command in enumerate(_commands([run.facts.run.command for run in runs])):
        told[place] = {**command, **told[place]}
    rows = {key: None for configuration in told for key in configuration}
    order = {section: place for place, section in enumerate(
        ("command", "git", "versions", "devices", "environment", "options", "run"))}  # fmt: skip
    found = [
        ConfigurationDifference(section, what, values)
        for section, what in rows
        if len(set(values := tuple(one.get((section, what)) for one in told))) > 1
    ]
    return tuple(sorted(found, key=lambda row: order[row.section]))


def notes(runs: Sequence[RunFacts], labels: Sequence[str]) -> tuple[str, ...]:
    """What a reader must know before believing a figure."""
    found = [text for run, label in zip(runs, labels, strict=True) for text in _of_one(run, label)]
    for run, label in zip(runs[1:], labels[1:], strict=True):
        found += _of_two(runs[0], run, labels[0], label)
    return tuple(found)


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
    if run.contention_ratio is not None and run.contention_ratio > SMALLEST:
        yield (
            f"other programs held {format_ratio(run.contention_ratio)} of the host's cores in "
            f"{label} while none was free: its times are longer than the program's own"
        )


def _of_two(one: RunFacts, two: RunFacts, first: str, second: str) -> Iterator[str]:
    if of_different_sizes(one, two):
        yield (
            f"a step has {one.samples_per_step:.4g} samples in {first} and "
            f"{two.samples_per_step:.4g} in {second}: compare the time a sample and samples a "
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
