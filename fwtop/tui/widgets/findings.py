"""Findings: what is wrong, the evidence, what to do next; and what fwtop itself has to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType

from fwtop.formatting import (
    format_bytes,
    format_duration,
    format_ratio,
    format_short_count,
    format_time_of_run,
    plural,
)
from fwtop.recording.model import Notice
from fwtop.tui.drawing import Row, fit, wrap
from fwtop.tui.snapshot import FindingsView, Snapshot
from fwtop.tui.widgets.panel import Panel

SEVERITIES = {
    "error": ("✖", "bad"),
    "critical": ("✖", "bad"),
    "warning": ("▲", "warn"),
    "info": ("•", "mark"),
}


class Findings(Panel):
    """Findings, the worst first, then fwtop's own notices."""

    SUBJECT = "findings"
    TITLE = "Findings"
    KEY = "7"
    NEEDS = frozenset({"findings"})
    ABOUT = (
        "✖ error, ▲ warning, • for your information. → says what to do next. A finding is drawn "
        "from the figures of the whole run, wherever the time cursor stands; its evidence is on "
        "the full screen (7). Notices are fwtop's own: hooks that failed, messages that were lost."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_by(-1)", "Up", show=False),
        Binding("down,j", "scroll_by(1)", "Down", show=False),
        Binding("pageup", "scroll_by(-10)", "Page up", show=False),
        Binding("pagedown", "scroll_by(10)", "Page down", show=False),
    ]

    def __init__(self, *, full: bool = False, id: str | None = None) -> None:
        super().__init__(full=full, id=id)
        self._top_row = 0

    def awaited(self, snapshot: Snapshot) -> str | None:
        """Nothing is wrong so far."""
        view = snapshot.findings
        if view is None or not (view.findings or view.notices):
            if not snapshot.live:
                return "Nothing found: no rule of fwtop's matches these figures."
            return "Nothing found so far. Rules need some seconds of steps and a trace window."
        return None

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """How many."""
        view = snapshot.findings
        row: Row = []
        if snapshot.moment.cursor_ns is not None:
            row.append(("┃ of the whole run", "cursor"))
        if view is None or not (view.findings or view.notices):
            return row
        row.append((f"{'  ' if row else ''}{plural(len(view.findings), 'finding')}", "dim"))
        if view.notices:
            row.append((f", {plural(len(view.notices), 'notice')}", "dim"))
        return row

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """Sentences, wrapped."""
        view = snapshot.findings
        assert view is not None
        rows = self._all_rows(view, width)
        self._top_row = max(0, min(self._top_row, len(rows) - height))
        return rows[self._top_row : self._top_row + height]

    def _all_rows(self, view: FindingsView, width: int) -> list[Row]:
        rows: list[Row] = []
        if self.full and self.snapshot is not None and self.snapshot.moment.cursor_ns is not None:
            said = "These judge the whole run, not only what was before the time cursor."
            for line in wrap(said, width):
                rows.append([(line, "cursor")])
            rows.append([])
        for finding in view.findings:
            rows += finding_rows(
                finding.severity, finding.why, finding.next,
                finding.evidence if self.full else {}, width,
            )  # fmt: skip
            if self.full:
                rows.append([])
        for notice in reversed(view.notices):
            when = f"{format_time_of_run(notice.at_ns)} " if self.full else ""
            rows += finding_rows(notice.severity, when + notice.text, notice.next, {}, width)
        return rows

    def action_scroll_by(self, by: int) -> None:
        """Rows up or down."""
        self._top_row = max(0, self._top_row + by)
        self.repaint()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_by(-3)


def finding_rows(
    severity: str, why: str, next_step: str, evidence: Mapping[str, Any], width: int
) -> list[Row]:
    """A sign and the sentence, what to do next, and the evidence as name and figure."""
    sign, role = SEVERITIES.get(severity, ("•", "text"))
    rows: list[Row] = []
    for number, line in enumerate(wrap(why, width - 2)):
        rows.append([(sign + " " if number == 0 else "  ", role), (line, "strong")])
    for number, line in enumerate(wrap(next_step, width - 4) if next_step else []):
        rows.append([("  → " if number == 0 else "    ", "key"), (line, "text")])
    for name, value in evidence.items():
        rows.append(
            [("    ", "text"), (fit(words(name), 28), "dim"), (fit_value(name, value), "text")]
        )
    return rows


def words(name: str) -> str:
    """`input_mean_ns` as `input mean`."""
    for suffix in ("_ns", "_bytes", "_ratio", "_per_s"):
        name = name.removesuffix(suffix)
    return name.replace("_", " ")


def fit_value(name: str, value: object) -> str:
    """A figure by the unit in its name."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    for suffix, formatted in (
        ("_ns", format_duration),
        ("_bytes", format_bytes),
        ("_ratio", format_ratio),
    ):
        if name.endswith(suffix):
            return formatted(value)
    return format_short_count(value)


class TopFinding(Panel):
    """The worst finding on one line, for screens without room for the panel."""

    SUBJECT = "findings"
    TITLE = ""
    KEY = "7"
    NEEDS = frozenset({"findings"})
    ABOUT = Findings.ABOUT
    can_focus = False

    def _draw(self):  # type: ignore[no-untyped-def]
        from fwtop.tui.drawing import strip_of

        width, height = self.size
        row = top_finding(self.snapshot, width) if self.snapshot is not None else []
        return [strip_of(row, width)] + [strip_of([], width)] * (height - 1)


def top_finding(snapshot: Snapshot, width: int) -> Row:
    """The worst finding, or the newest notice, in one row."""
    view = snapshot.findings
    if view is None:
        return []
    worst = _worst(view)
    if worst is None:
        text = "nothing found so far" if snapshot.live else "nothing found"
        return [(" 7 ", "key"), (text, "dim")]
    severity, why, next_step = worst
    sign, role = SEVERITIES.get(severity, ("•", "text"))
    others = len(view.findings) + len(view.notices) - 1
    more = f" +{others} (7)" if others else " (7)"
    room = width - len(more) - 3
    why = fit(why, room).rstrip()
    row: Row = [(f" {sign} ", role), (why, "strong")]
    left = room - len(why) - 3
    if next_step and left >= 16:
        row += [(" → ", "key"), (fit(next_step, left).rstrip(), "text")]
    row.append((more, "dim"))
    return row


def _worst(view: FindingsView) -> tuple[str, str, str] | None:
    order = list(SEVERITIES)
    entries = [(f.severity, f.why, f.next) for f in view.findings]
    notices: Sequence[Notice] = view.notices
    entries += [(n.severity, n.text, n.next) for n in reversed(notices)]
    ranked = sorted(entries, key=lambda e: order.index(e[0]) if e[0] in order else len(order))
    return ranked[0] if ranked else None
