"""Turns what PyTorch's structured trace says into the user's words. Pure text functions."""

from __future__ import annotations

import json
import re
from typing import List, NamedTuple, Optional, Tuple

MAX_REASON = 400
_RESUME = re.compile(r"(?:torch_dynamo_resume_in_)+(.+?)_at_(\d+)$")
_USER_CODE = re.compile(r"Graph break in user code at (.+):(\d+)\s*$", re.MULTILINE)
_FRAME = re.compile(r'^\s*File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
_EVENT = re.compile(r'\{\s*"name": "((?:[^"\\]|\\.)*)"')
_PHASE = re.compile(r'"ph": "(\w)"')
_BYPASS = re.compile(r'"cache_bypass_reason": "((?:[^"\\]|\\.)*)"')
_COMPILE_ID = re.compile(r"^\s*[\d!/\[\]-]+: ")
_LOCAL = re.compile(r"L\['(\w+)'\]")
_EXPECTED = re.compile(r"(at index \d+|mismatch)\. expected")
_CONDITION = re.compile(r"[^ ]+ (?:==|!=|is|is not|in|not in|<|<=|>|>=) [^,]+$")
_TAIL_CHARS = 400


class GraphBreak(NamedTuple):
    """Where and why a graph was cut."""

    function: Optional[str]
    file: Optional[str]
    line: Optional[int]
    reason: str


def function_name(name: str) -> str:
    """The user's function: Dynamo's continuation of `f` after a break is still `f`."""
    match = _RESUME.match(name)
    return match.group(1) if match else name


def chromium_event(payload: str) -> Optional[Tuple[str, str]]:
    """(name, phase letter) without decoding the rest, which may hold 70 KB of cache key."""
    name = _EVENT.match(payload)
    if name is None:
        return None
    phases = _PHASE.findall(payload, max(name.end(), len(payload) - _TAIL_CHARS))
    return (name.group(1), phases[-1]) if phases else None


def graph_break(payload: str) -> GraphBreak:
    """From the artifact `dynamo_graph_break_reason`."""
    place = _USER_CODE.search(payload)
    file, line = (place.group(1), int(place.group(2))) if place else (None, None)
    function = None
    for frame in _FRAME.finditer(payload):
        if frame.group(1) == file and int(frame.group(2)) == line:
            function = function_name(frame.group(3))
    return GraphBreak(function, file, line, _break_reason(payload))


def recompile_reason(payload: str) -> str:
    """From the artifact `recompile_reasons`: the failed guard of each earlier compile."""
    try:
        decoded = json.loads(payload)
    except ValueError:
        decoded = payload
    reasons: List[str] = []
    for one in decoded if isinstance(decoded, list) else [decoded]:
        text = _guard(str(one))
        if text and text not in reasons:
            reasons.append(text)
    return "; ".join(reasons)[:MAX_REASON]


def bypass_reason(payload: str) -> Optional[str]:
    """Why a cache was not asked, from its artifact."""
    match = _BYPASS.search(payload)
    return match.group(1)[:MAX_REASON] if match else None


def _guard(reason: str) -> str:
    line = _COMPILE_ID.sub("", reason.strip().split("\n", 1)[0])
    line = line.split("  # ", 1)[0].strip()
    line = _LOCAL.sub(r"\1", line)
    if _CONDITION.match(line):
        return line + " no longer holds"
    return _EXPECTED.sub(lambda match: match.group(1) + ": expected", line)


def _break_reason(payload: str) -> str:
    """Its title and its explanation; of older versions, the first line."""
    _, _, rest = payload.partition("Graph Break Reason:")
    if not rest:
        _, _, rest = payload.partition("Reason:")
    title, _, more = (rest or payload).partition("Explanation:")
    paragraphs = [part.strip() for part in title.split("\n\n") if part.strip()]
    title = " ".join(paragraphs[-1].split()) if paragraphs else ""
    explanation = " ".join(more.split("\n\n", 1)[0].split("\n  Hint:", 1)[0].split())
    return (title + ": " + explanation if explanation else title.split("User code")[0])[:MAX_REASON]
