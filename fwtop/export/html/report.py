"""What the sections of a report are made of, and how a section stands on the page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from fwtop.analysis.findings import Facts
from fwtop.export.html.markup import Content, Markup, content, el, name
from fwtop.export.source import Source
from fwtop.summary import Summary, gather, summarize

SHOWN_ROWS = 25
"""Of a long table, until the reader asks for the rest."""


@dataclass
class Report:
    """A run on its way to a page."""

    source: Source

    @cached_property
    def facts(self) -> Facts:
        """Steps, operators, devices and the rest, as findings look at them."""
        return gather(self.source.recording)

    @cached_property
    def summary(self) -> Summary:
        """The contract that every view shows."""
        return summarize(self.source.recording)

    @property
    def end_ns(self) -> int:
        """Where time axes end."""
        return max(1, self.facts.duration_ns)


def section(anchor: str, title: str, *children: Content) -> Markup:
    """A part of the page; empty without children."""
    inner = content(*children)
    if not inner:
        return Markup("")
    return el("section", el("h2", title), inner, id=anchor)


def number(shown: str, value: float | None) -> Markup:
    """A cell of a figure, sorted by its value."""
    return el("td", shown, class_="n", data_v=-1 if value is None else round(value, 4))


def code(text: str | None) -> Markup:
    """A cell of a name."""
    return el("td", el("code", name(text)))


def table(
    heads: list[tuple[str, bool]], rows: list[Markup], long: bool = False, filtered: str = ""
) -> Markup:
    """A table; each head says whether its column holds figures. A `long` one is sorted, and cut
    until it is asked for; `filtered` names what its filter looks for."""
    head = el(
        "thead",
        el("tr", (
            el("th", el("button", title, type="button") if long else title,
               class_="n" if figures else None, scope="col")
            for title, figures in heads
        )),
    )  # fmt: skip
    whole = el("table", head, el("tbody", rows), class_="long" if long else None)
    box = el("div", whole, class_="scroll")
    if not long:
        return box
    more = len(rows) > SHOWN_ROWS
    tools = el(
        "div",
        el("input", type="search", placeholder=f"Filter {filtered}", aria_label="Filter",
           autocomplete="off", spellcheck="false"),
        el("span", f"{len(rows):,} {filtered}", class_="count"),
        class_="tools",
    )  # fmt: skip
    button = el("button", f"Show all {len(rows):,}", type="button", class_="all") if more else None
    return el("div", tools, box, button, class_="explorer", data_shown=SHOWN_ROWS)


def note(*children: Content) -> Markup:
    """A remark below a title."""
    return el("p", *children, class_="note")


def pairs(rows: list[tuple[str, Content]]) -> Markup:
    """Names and values."""
    return el("dl", ((el("dt", key), el("dd", value)) for key, value in rows))
