"""What is whole in a damaged piece of a JSON array: event by event, skipping what is not JSON.

Slow (the standard library's parser), and so used only where the fast decoder refused a piece. It
takes NaN and Infinity, which JSON forbids and some writers emit; the caller judges the values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_EVENT_START = re.compile(r'\{\s*"(?:ph|name|cat|pid|ts)"\s*:')
_GAP = re.compile(r"[\s,]*")


@dataclass(slots=True)
class Salvage:
    """The events found whole, and what was lost around them."""

    events: list[dict[str, Any]] = field(default_factory=list)
    damaged: int = 0
    """Stretches that were no event."""
    first_damage: int | None = None
    """Offset, in characters, of the first of them."""
    tail: str | None = None
    """What followed the array's `]`; None where the array does not end here."""


def salvage(text: bytes, most: int) -> Salvage:
    """The events in a piece of an array (without its `[`), at most `most` of them."""
    return _scan(text.decode("utf-8", "replace"), most)


def _scan(text: str, most: int) -> Salvage:
    found = Salvage()
    decode = json.JSONDecoder().raw_decode
    at = _end_of_gap(text, 0)
    while at < len(text) and len(found.events) < most:
        if text[at] == "]":
            found.tail = text[at + 1 :]
            break
        try:
            value, end = decode(text, at)
        except (ValueError, RecursionError):
            value, end = None, -1
        if isinstance(value, dict):
            found.events.append(value)
            at = _end_of_gap(text, end)
            continue
        found.damaged += 1
        if found.first_damage is None:
            found.first_damage = at
        start = _EVENT_START.search(text, max(at + 1, end))
        if start is None:
            break
        at = start.start()
    return found


def _end_of_gap(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return at if gap is None else gap.end()
