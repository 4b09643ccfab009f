"""Cells of the comparison's tables: a figure, its change, and whether that is noise.

A sign stands for the direction (▲ more, ▼ less), a word for noise; colour repeats what they say.
"""

from __future__ import annotations

from fwtop.analysis.comparison.model import Change, ComparedFigure, OperatorChange, OperatorSide
from fwtop.analysis.comparison.noise import READ_ONCE
from fwtop.analysis.comparison.words import points_text, signed_percent
from fwtop.formatting import UNKNOWN, format_duration, format_figure, format_short_count
from fwtop.tui.drawing import Span

NOISE = "noise"
UNSURE = "?"
"""Nothing tells whether it is noise."""

MANY_TIMES = 9.0
"""From here, an increase reads better as a factor than in percent: ×10."""


def value(figure: ComparedFigure, run: int) -> Span:
    """The figure in one run."""
    return format_figure(figure.values[run], figure.unit), "text"


def change(figure: ComparedFigure, run: int) -> Span:
    """By how much it differs from the baseline's: `▲ +5.2 %`, `▼ -3`, `=`."""
    found = figure.changes[run]
    if found is None:
        return UNKNOWN, "dim"
    if not found.delta:
        return "=", "dim"
    if figure.unit == "ratio":
        text = f"{found.delta * 100:+.1f} pt"
    elif figure.unit == "count" or found.ratio is None:
        text = signed(format_figure(found.delta, figure.unit))
    else:
        text = signed_percent(found.ratio)
    return f"{arrow(found.delta)} {text}", role(found, figure.better)


def change_marked(figure: ComparedFigure, run: int) -> Span:
    """The same with the word for noise, where it has no column of its own."""
    text, its_role = change(figure, run)
    found = figure.changes[run]
    if found is None or not found.delta or found.noise is False:
        return text, its_role
    return f"{text} {NOISE if found.noise else UNSURE}", its_role


def sureness(figure: ComparedFigure, run: int) -> Span:
    """`noise`, `? too few steps`, or the change's interval: `4.1 to 6.3 %`."""
    found, before = figure.changes[run], figure.values[0]
    if found is None or not found.delta:
        return "", "dim"
    if found.noise:
        return NOISE, "dim"
    if found.noise is None:
        # Most figures are read once a run: the help says so, and not each row.
        why = "" if found.unsure in (None, READ_ONCE) else f" {found.unsure}"
        return f"{UNSURE}{why}", "dim"
    within = found.interval
    if within is None:
        return "", "dim"
    if figure.unit == "ratio" and before is not None:
        return points_text(within, before), "text"
    if within.high >= MANY_TIMES:
        return f"×{within.low + 1:.3g} to ×{within.high + 1:.3g}", "text"
    low = signed_percent(within.low).removesuffix(" %")
    return f"{low} to {signed_percent(within.high)}", "text"


def role(found: Change | None, better: str) -> str:
    """Better, worse, neither; noise is dim."""
    if found is None or not found.delta or found.noise:
        return "dim"
    if better == "neither" or found.noise is None:
        return "text"
    worse = (found.delta > 0) == (better == "lower")
    return "strong bad" if worse else "strong good"


def side(found: OperatorSide | None) -> Span:
    """Self time of a traced step."""
    return (format_duration(found.self_ns), "text") if found is not None else (UNKNOWN, "dim")


def calls(sides: tuple[OperatorSide | None, ...]) -> Span:
    """Calls a step: `53`, or `53→50` where they differ."""
    known = [format_short_count(one.calls) if one else UNKNOWN for one in sides]
    return (known[0] if len(set(known)) == 1 else "→".join(known)), "dim"


def work_delta(found: OperatorChange | None) -> Span:
    """`▲ +1.20 ms`."""
    if found is None:
        return UNKNOWN, "dim"
    if not found.delta_ns:
        return "=", "dim"
    return (
        f"{arrow(found.delta_ns)} {signed(format_duration(found.delta_ns))}",
        work_role(found),
    )


def work_ratio(found: OperatorChange | None) -> Span:
    """`+12 %`, or that it is new or gone."""
    if found is None:
        return "", "dim"
    if found.status in ("added", "deleted"):
        return {"added": "new", "deleted": "gone"}[found.status], work_role(found)
    if found.ratio is None or not found.delta_ns:
        return "", "dim"
    return signed_percent(found.ratio), work_role(found)


def work_both(found: OperatorChange | None) -> Span:
    """Difference and noise in one cell, where there are several runs."""
    text, its_role = work_delta(found)
    mark = work_sureness(found)[0]
    return (f"{text} {mark}".rstrip(), its_role)


def work_sureness(found: OperatorChange | None) -> Span:
    """`noise`, `?`, or nothing."""
    if found is None or not found.delta_ns or found.noise is False:
        return "", "dim"
    return (NOISE if found.noise else UNSURE), "dim"


def work_role(found: OperatorChange) -> str:
    """More time is worse; noise is dim."""
    if found.noise or not found.delta_ns or found.status == "unchanged":
        return "dim"
    if found.noise is None:
        return "text"
    return "strong bad" if found.delta_ns > 0 else "strong good"


def arrow(delta: float) -> str:
    """More or less."""
    return "▲" if delta > 0 else "▼" if delta < 0 else "="


def signed(text: str) -> str:
    """With a plus in front, unless there is a minus."""
    return text if text.startswith("-") else f"+{text}"
