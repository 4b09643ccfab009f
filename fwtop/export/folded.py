"""Folded stacks, a line a stack: `phase;module;operator;… WEIGHT`, self time in nanoseconds.

flamegraph.pl, inferno and speedscope read it. From the nesting of the raw trace windows that were
kept, summed over windows and threads, without the time in which a phase ran no operator. Where none
was kept, `phase;family;operator` by self time on the host, of all counted windows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO

from fwtop.export.raw_windows import raw_windows
from fwtop.export.source import ExportError, Source
from fwtop.export.stacks import Edge, edges, threads
from fwtop.export.texts import valid
from fwtop.queries import operators

MOST_STACKS = 500_000
"""Different stacks; the time of others goes to `OTHERS`."""
OTHERS = "(other stacks)"
_PLAIN = str.maketrans({";": ":", "\n": " ", "\r": " "})


def write(source: Source, out: BinaryIO) -> None:
    """The stacks into a file, in the order of their text."""
    weights: dict[str, int] = defaultdict(int)
    for raw in raw_windows(source):
        segments = raw.segments(source)
        for track in threads(raw):
            for stack, self_ns in _self_times(edges(track, segments)):
                known = stack in weights or len(weights) < MOST_STACKS
                weights[stack if known else OTHERS] += self_ns
    if not weights:
        for row in operators.operators(source.recording, window_ids(source)):
            if row.device == "cpu":
                weights[";".join(map(_frame, (row.phase, row.family, row.name)))] += row.self_ns
    if not weights:
        raise nothing_traced()
    for stack in sorted(weights):
        if weights[stack] > 0:
            out.write(f"{stack} {weights[stack]}\n".encode())


def nothing_traced() -> ExportError:
    """There is no operator to make a stack of."""
    return ExportError(
        "no trace window lies there: there is no operator to make a stack of",
        "record with a larger --overhead, or take other steps; --to csv has the steps",
    )


def window_ids(source: Source) -> list[int]:
    """The windows that figures come from, within the stretch."""
    wanted = set(operators.window_ids(source.recording))
    return [
        window.id
        for window in operators.windows(source.recording)
        if window.id in wanted and source.stretch.overlaps(window.start_ns, window.end_ns)
    ]


def _self_times(found: Iterator[Edge]) -> Iterator[tuple[str, int]]:
    """Each stack below a phase with the time in which it was the whole stack."""
    paths: list[str] = []
    at_ns = 0
    for edge in found:
        if len(paths) > 1 and edge.at_ns > at_ns:
            yield paths[-1], edge.at_ns - at_ns
        at_ns = edge.at_ns
        if edge.opens:
            name = _frame(edge.name)
            paths.append(f"{paths[-1]};{name}" if paths else name)
        else:
            paths.pop()


def _frame(name: str) -> str:
    return valid(name).translate(_PLAIN)[:1000].strip() or "(no name)"
