"""What differs between runs, and whether it is noise.

The first run is the baseline. With --vs, the runs named before it are repeats of the baseline, and
those after each --vs repeats of another side. Exit status: 0; 1 where a `--fail-on` condition
failed or could not be judged; 2 where one means nothing.
"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fwtop.analysis.comparison.conditions import Condition, ConditionError, parse
from fwtop.analysis.comparison.judgement import Judgement, judge
from fwtop.analysis.comparison.metrics import METRICS, NAMED, WORK
from fwtop.analysis.comparison.model import Comparison
from fwtop.cli import sources
from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.run import has_terminal
from fwtop.comparison import compare, to_json
from fwtop.formatting import cell_width, ellipsis_middle, printable
from fwtop.recording.store import open_recording

WIDTH = 100
"""Of the words where no terminal says."""
NARROWEST, WIDEST = 60, 160
MOST_RUNS = 16
MOST_REPEATS = 64
"""Of all sides together."""


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = _metrics_help()
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help=f"{sources.WHAT}, or a folder of one run's traces; the first is the baseline, and"
        " with --vs all of these are its repeats",
    )
    parser.add_argument(
        "--vs",
        nargs="+",
        metavar="RUN",
        action="append",
        default=[],
        help="runs of another side: repeats, so that the spread between runs is known; may be"
        " repeated, as in `fwtop compare base-*.fwtop --vs new-*.fwtop`",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="as JSON (a contract: see schema_version)"
    )
    form.add_argument(
        "--markdown", action="store_true", help="as Markdown, for a comment on a change"
    )
    form.add_argument(
        "--text", action="store_true", help="in words, on a terminal too (else the viewer)"
    )
    parser.add_argument(
        "--fail-on",
        metavar="EXPR",
        action="append",
        default=[],
        help="end with exit status 1 if this holds, as 'step_time > +5%%'; may be repeated",
    )


def main(arguments: Namespace) -> int:
    """Compare, print or show. Raises Failure, RecordingError or TraceError."""
    conditions = _conditions(arguments.fail_on)
    if conditions is None:
        return int(Code.CONDITION)
    watched = has_terminal() and not (
        arguments.json or arguments.markdown or arguments.text or conditions
    )
    sides = _sides(arguments.runs, arguments.vs)
    if not sides:
        return 0
    words = [word for side in sides for word in side]
    counts = [len(side) for side in sides]
    with ExitStack() as stack:
        paths = [stack.enter_context(sources.opened([word])) for word in words]
        recordings = [stack.enter_context(open_recording(path)) for path in paths]
        known_as = [_known_as(word, path) for word, path in zip(words, paths, strict=True)]
        if watched:
            _show(paths, known_as, counts)
            return 0
        comparison = compare(recordings, known_as, counts)
    judgements = [one for condition in conditions for one in judge(condition, comparison)]
    sys.stdout.write(_rendered(arguments, comparison, judgements))
    sys.stdout.flush()
    return _gate(judgements)


def _conditions(texts: Sequence[str]) -> list[Condition] | None:
    """The conditions; None if one means nothing, which has been said."""
    found, wrong = [], False
    for text in texts:
        try:
            found.append(parse(text))
        except ConditionError as error:
            wrong = True
            _say_error(error)
    return None if wrong else found


def _say_error(error: ConditionError) -> None:
    """What is wrong, and a caret below the place."""
    start = max(0, error.place - 50)
    shown = printable(error.text[start : error.place + 25])
    before = printable(error.text[start : error.place])
    say(f"--fail-on: {error}")
    say(f"  {shown}")
    say(f"  {' ' * cell_width(before)}^")
    if error.next:
        say(f"  {ellipsis_middle(printable(error.next), 400)}")


def _sides(words: list[str], others: list[list[str]]) -> list[list[str]]:
    """The runs to compare, by side: each run its own, unless there are others.

    Picked on a screen where none is named; none if the user left it.
    """
    if not others:
        return [[word] for word in _words(words)]
    if not words:
        raise Failure(
            Code.USAGE,
            "the baseline's runs are named before --vs, and there are none",
            "fwtop compare BASELINE… --vs RUN…",
        )
    count = len(words) + sum(map(len, others))
    if len(others) >= MOST_RUNS or count > MOST_REPEATS:
        raise Failure(
            Code.USAGE,
            f"{count} runs on {len(others) + 1} sides are more than can be read side by side",
            f"name at most {MOST_REPEATS} runs on {MOST_RUNS} sides",
        )
    return [words, *others]


def _words(words: list[str]) -> list[str]:
    """The runs to compare, picked on a screen where none is named; none if the user left it."""
    if not words and has_terminal():
        from fwtop.cli.picking import pick_for
        from fwtop.tui.picker import COMPARE

        picked = pick_for(COMPARE, "fwtop compare RUN RUN")
        return [run.path for run in picked]
    if len(words) < 2:
        raise Failure(
            Code.USAGE,
            f"a comparison is of two runs or more, and {len(words) or 'none'} "
            f"{'is' if len(words) < 2 else 'are'} named",
            "fwtop compare BASELINE RUN…; `fwtop ls` lists the recordings at hand",
        )
    if len(words) > MOST_RUNS:
        raise Failure(
            Code.USAGE,
            f"{len(words)} runs are more than the {MOST_RUNS} that can be read side by side",
            "name the repeats of a side after --vs, or compare fewer",
        )
    return words


def _known_as(word: str, path: Path) -> str | None:
    """What a run is called whose recording was made for the moment, of traces."""
    return None if sources.shown([word], path) == str(path) else word


def _show(paths: Sequence[Path], known_as: Sequence[str | None], repeats: Sequence[int]) -> None:
    """Show the screen. Raises Failure if it fails."""
    from fwtop.cli.compare_markdown import render as markdown
    from fwtop.tui.compare import MOST_RUNS as MOST_SHOWN
    from fwtop.tui.compare import view

    if len(repeats) > MOST_SHOWN:
        raise Failure(
            Code.USAGE,
            f"{len(repeats)} runs have no room side by side on a screen, which takes {MOST_SHOWN}",
            "name fewer, name repeats of one side after --vs, or add --text",
        )
    try:
        view(paths, lambda comparison: markdown(comparison, ()), known_as, repeats)
    except RuntimeError as error:
        raise Failure(Code.TERMINAL, str(error), "fwtop compare --text prints it") from error


def _rendered(arguments: Namespace, comparison: Comparison, judgements: Sequence[Judgement]) -> str:
    if arguments.json:
        return to_json(comparison).decode() + "\n"
    if arguments.markdown:
        from fwtop.cli.compare_markdown import render as markdown

        return markdown(comparison, judgements)
    from fwtop.cli.compare_text import render

    columns = shutil.get_terminal_size((WIDTH, 24)).columns
    lines = render(comparison, judgements, max(NARROWEST, min(WIDEST, columns)))
    return "\n".join(lines) + "\n"


def _gate(judgements: Sequence[Judgement]) -> int:
    """Say which conditions failed; the exit status."""
    failed = [judgement for judgement in judgements if judgement.failed]
    for judgement in failed:
        say(f"failed: {printable(judgement.text)}")
    return int(Code.GATE) if failed else 0


def _metrics_help() -> str:
    lines = [
        "conditions: METRIC > BOUND, where > may be >=, < or <=, and BOUND is",
        "  +5%     the change relative to the baseline   step_time > +5%, throughput < -5%",
        "  +512MiB the change itself                     memory.peak > +512MiB",
        "  120ms   the run's own figure                  step_time.p95 > 120ms",
        "A change that is noise does not fail. Where nothing tells whether it is noise, what was",
        "measured counts, and the line says so. A metric that a run does not tell fails.",
        "",
        "metrics:",
    ]
    lines += [f"  {name:<24} {what}" for name, (_, what) in METRICS.items()]
    lines += [f"  {f'{name}[{example}]':<24} {what}" for name, (_, example, what) in NAMED.items()]
    lines += [
        f"  {f'{name}[NAME].{attribute}':<24} per traced step"
        for name, attributes in WORK.items()
        for attribute in attributes
    ]
    lines.append("  operator[NAME].cpu.self names the device, where it ran on both")
    return "\n".join(lines)
