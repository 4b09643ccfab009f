"""HTML from Python: what is not made here is text, and escaped.

No style attribute and no event handler is ever written: the page's Content-Security-Policy allows
the one style sheet and the one script by their hashes, and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from typing import Any

from fwtop.export.texts import cleaned, valid
from fwtop.formatting import printable


class Markup(str):
    """A piece of HTML, as opposed to a text."""

    __slots__ = ()


Content = Markup | str | int | None | Iterable[Any]
Attribute = str | int | float | bool | None

_VOID = frozenset({"br", "col", "input", "link", "meta"})
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
LONGEST_NAME = 2_000
"""Characters of a name; a trace may hold longer ones."""


def el(tag: str, *children: Content, **attributes: Attribute) -> Markup:
    """An element. `class_` is `class`, other `_` are `-`; None and False leave an attribute out."""
    parts = [f"<{tag}"]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        parts.append(f" {name}" if value is True else f' {name}="{escape(_shown(str(value)))}"')
    parts.append(">")
    if tag not in _VOID:
        parts.append(content(*children))
        parts.append(f"</{tag}>")
    return Markup("".join(parts))


def content(*children: Content) -> Markup:
    """Children one after the other: markup as it is, text escaped, None as nothing."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(_shown(child), quote=False))
        elif isinstance(child, int):
            parts.append(str(child))
        else:
            parts.append(content(*child))
    return Markup("".join(parts))


def _shown(text: str) -> str:
    """Valid, and without controls, which no HTML may hold."""
    return text if text.isprintable() else _CONTROLS.sub("\ufffd", valid(text))


def name(text: str | None) -> str:
    """A name of the run's on one line, without controls, and not without bounds."""
    return printable(valid(text or ""))[:LONGEST_NAME]


def prose(text: str | None) -> str:
    """A text of the run's or of a finding, of as many lines as it has, not without bounds."""
    return (text or "")[:LONGEST_NAME]


def data(value: Any, **attributes: Attribute) -> Markup:
    """Data for the script, in an element that no browser runs."""
    text = json.dumps(cleaned(value), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return el("script", Markup(text), type="application/json", **attributes)


def word(text: str, known: Iterable[str]) -> str:
    """A word of ours for a class name; `other` for one that a recording made up."""
    return text if text in known else "other"
