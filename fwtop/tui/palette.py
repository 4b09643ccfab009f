"""Roles and how they look: the one place that names colours.

The ground is the terminal's own, dark or light, so every colour here must read on both: each has a
contrast of at least 3:1 against black and against white (a test holds them to it). Colour never
carries meaning alone: phases have letters, states have words and signs, selection has a marker.
Textual drops the colours, not the attributes, under NO_COLOR.
"""

from __future__ import annotations

from types import MappingProxyType

from rich.style import Style

BLUE = 32
SLATE = 67
TEAL = 66
GREEN = 65
LEAF = 28
ORANGE = 166
RED = 160
PURPLE = 97
GREY = 244
OLIVE = 100

COLOURS = (BLUE, SLATE, TEAL, GREEN, LEAF, ORANGE, RED, PURPLE, GREY, OLIVE)


def _style(
    colour: int | None = None,
    ground: int | None = None,
    *,
    bold: bool | None = None,
    underline: bool | None = None,
    reverse: bool | None = None,
) -> Style:
    return Style(
        color=None if colour is None else f"color({colour})",
        bgcolor=None if ground is None else f"color({ground})",
        bold=bold,
        underline=underline,
        reverse=reverse,
    )


PHASE_COLOURS = {
    "input": ORANGE,
    "h2d": OLIVE,
    "forward": SLATE,
    "backward": PURPLE,
    "optimizer": GREEN,
    "other": GREY,
}
PHASE_LETTERS = {
    "input": "I",
    "h2d": "H",
    "forward": "F",
    "backward": "B",
    "optimizer": "O",
    "other": "·",
}
CLASS_COLOURS = {
    "kernel": SLATE,
    "memcpy": OLIVE,
    "memset": TEAL,
    "communication": PURPLE,
    "runtime": BLUE,
    "dataloader": ORANGE,
    "cpu_op": GREEN,
    "other": GREY,
}
"""What a traced step's wall time goes to."""
CLASS_LETTERS = {
    "kernel": "K",
    "memcpy": "M",
    "memset": "Z",
    "communication": "C",
    "runtime": "L",
    "dataloader": "I",
    "cpu_op": "O",
    "other": "·",
}

ROLES = MappingProxyType(
    {
        "text": _style(),
        "strong": _style(bold=True),
        "dim": _style(GREY),
        "frame": _style(GREY),
        "frame focus": _style(BLUE, bold=True),
        "title": _style(bold=True),
        "key": _style(BLUE, bold=True),
        "head": _style(GREY, underline=True),
        "head sorted": _style(bold=True, underline=True),
        "select": _style(reverse=True),
        "cursor": _style(ORANGE, bold=True),
        "mark": _style(TEAL),
        "good": _style(LEAF),
        "warn": _style(ORANGE),
        "bad": _style(RED),
        "strong good": _style(LEAF, bold=True),
        "strong warn": _style(ORANGE, bold=True),
        "strong bad": _style(RED, bold=True),
        "plot": _style(SLATE),
        "plot 2": _style(TEAL),
        "plot 3": _style(PURPLE),
        "bar": _style(SLATE),
        "track": _style(GREY),
        "code": _style(TEAL),
        "library warning": _style(OLIVE),
        "match": _style(ORANGE, reverse=True),
        **{f"phase {name}": _style(colour) for name, colour in PHASE_COLOURS.items()},
        **{
            f"block {name}": _style(colour, reverse=True, bold=True)
            for name, colour in PHASE_COLOURS.items()
        },
        **{f"class {name}": _style(colour) for name, colour in CLASS_COLOURS.items()},
        **{
            f"block {name}": _style(colour, reverse=True, bold=True)
            for name, colour in CLASS_COLOURS.items()
        },
        **{
            f"{lower} over {upper}": _style(PHASE_COLOURS[lower], PHASE_COLOURS[upper])
            for lower in PHASE_COLOURS
            for upper in PHASE_COLOURS
        },
    }
)


def style(role: str) -> Style:
    """The style of a role. Raises KeyError for a role that nobody defined."""
    return ROLES[role]
