"""Which lines of a script's output are a library's log, and of what level.

Owns the formats, and nothing of how lines are shown. TensorFlow, XLA, PyTorch and NCCL write their
logs to the script's own stderr or stdout, among the script's lines:

    I0000 00:00:1795424203.332617   25320 port.cc:153] …      Abseil, before its log is initialized
    W1122 10:11:12.345678   25320 port.cc:153] …              Abseil, glog, torch's Python logging
    2026-11-22 10:11:12.345678: W tensorflow/core/x.cc:9] …   TensorFlow
    [rank1]:[W1122 10:11:12.345678901 x.cpp:12] …             PyTorch (c10)
    host:4711:4712 [0] NCCL INFO …                            NCCL

A line that is not surely a library's is the script's own: what follows a library's first line (a
traceback in a warning, say) has no prefix, and only a few such lines of fixed wording are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Level = Literal["info", "warning", "error", "fatal"]
LEVELS: tuple[Level, ...] = ("info", "warning", "error", "fatal")

MAX_CHARACTERS = 1024
"""Prefixes are looked for within so many characters of a line."""


@dataclass(frozen=True, slots=True)
class LibraryLine:
    """What a line holds of a library's log."""

    level: Level
    start: int
    """Where it begins: a library may write while the script is in the middle of a line."""


_GLOG = (
    r"(?:\[rank\d+\]:)?\[?(?P<glog>[VDIWEFC])(?:\d{4})?\d{4} \d\d:\d\d:\d+\.\d+ +(?:\d+ +)?"
    r"[^\s:\]]+:\d+\]"
)
_C10_WITHOUT_TIME = r"\[(?P<c10>[VIWEF]) [\w./+-]+\.\w+:\d+\]"
_TENSORFLOW = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: (?P<tensorflow>[IWEF]) [^\s:\]]+:\d+\]"
_NCCL = (
    r"(?:\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?\] )?(?<![\w.-])[\w.-]+:\d+:\d+ "
    r"(?:\S+ ){0,3}NCCL (?P<nccl>INFO|WARN|TRACE|CALL|ABORT)\b"
)
_WITH_BRACKET = re.compile("|".join((_GLOG, _C10_WITHOUT_TIME, _TENSORFLOW)))
_OF_NCCL = re.compile(_NCCL)
_END = re.compile(r":\d+\]")
"""Of every prefix with a bracket: most lines have none, and this is told at little cost."""
_OTHERS: tuple[tuple[re.Pattern[str], Level], ...] = (
    (re.compile(r"WARNING: All log messages before absl::InitializeLog\(\) is called"), "warning"),
    (re.compile(r"To enable the following instructions: .*rebuild TensorFlow with the"), "info"),
    (re.compile(r"NCCL version \d"), "info"),
)
_LEVEL_OF: dict[str, Level] = {
    "V": "info", "D": "info", "I": "info", "W": "warning", "E": "error", "F": "fatal", "C": "fatal",
    "INFO": "info", "TRACE": "info", "CALL": "info", "WARN": "warning", "ABORT": "error",
}  # fmt: skip


def find(line: str) -> LibraryLine | None:
    """The library's part of one line, whole and without its end; None if all is the script's own.

    Text before a prefix is the script's own and stays so; after it all is the library's.
    """
    found = None
    if "]" in line and _END.search(line, 0, MAX_CHARACTERS):
        found = _WITH_BRACKET.search(line, 0, MAX_CHARACTERS)
    if found is None and "NCCL" in line:
        found = _OF_NCCL.search(line, 0, MAX_CHARACTERS)
    if found is not None:
        letter = next(value for value in found.groupdict().values() if value is not None)
        return LibraryLine(_LEVEL_OF[letter], found.start())
    for pattern, level in _OTHERS:
        if pattern.match(line, 0, MAX_CHARACTERS):
            return LibraryLine(level, 0)
    return None
