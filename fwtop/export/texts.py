"""Text and numbers made fit for what is written: recordings hold what anybody put in them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fwtop.queries.log import TERMINAL_SIZE
from fwtop.recording.model import LogChunk

LONGEST_LINE = 16_384
"""A longer line of output is cut into lines of this length."""
DEEPEST = 100
"""Levels of data from JSON; only a hostile recording nests deeper."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|[PX^_][^\x1b]*(?:\x1b\\)?"
    r"|[ -/]*[0-~])"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def valid(text: str) -> str:
    """The text, with `?` for halves of surrogate pairs: JSON may hold them, UTF-8 may not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def cleaned(value: Any, depth: int = DEEPEST) -> Any:
    """Data from JSON with valid texts and finite numbers; what is neither, or lies deeper than
    `depth`, becomes None."""
    if isinstance(value, str):
        return valid(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        if not depth:
            return None
        return {valid(str(key)): cleaned(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item, depth - 1) for item in value] if depth else None
    return value


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the script's output, as a terminal would have left it."""

    at_ns: int
    """When its first byte came."""
    stream: int
    text: str


def log_lines(chunks: Iterable[LogChunk]) -> Iterator[LogLine]:
    """The output's lines: without escape sequences, and of a line that was drawn over (a progress
    bar) what was drawn last. Lines of the two streams come as they end."""
    held: dict[int, tuple[int, bytes]] = {}
    for chunk in chunks:
        if chunk.stream == TERMINAL_SIZE:  # no output
            continue
        at_ns, before = held.pop(chunk.stream, (chunk.at_ns, b""))
        *ended, rest = (before + chunk.data).split(b"\n")
        for line in ended:
            yield from _lines(at_ns, chunk.stream, line)
            at_ns = chunk.at_ns
        if len(rest) > LONGEST_LINE:
            yield from _lines(at_ns, chunk.stream, rest)
            at_ns, rest = chunk.at_ns, b""
        if rest:
            held[chunk.stream] = (at_ns, rest)
    for stream, (at_ns, rest) in sorted(held.items(), key=lambda item: item[1][0]):
        yield from _lines(at_ns, stream, rest)


def _lines(at_ns: int, stream: int, data: bytes) -> Iterator[LogLine]:
    drawn = [part for part in data.split(b"\r") if part.strip()]
    text = (drawn[-1] if drawn else b"").decode("utf-8", "replace")
    text = _CONTROLS.sub("", _ESCAPES.sub("", text)).rstrip()
    for start in range(0, max(1, len(text)), LONGEST_LINE):
        yield LogLine(at_ns, stream, text[start : start + LONGEST_LINE])
