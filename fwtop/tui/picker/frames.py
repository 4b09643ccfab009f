"""What the picker shows: the runs in a table, and the selected one in full."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message
from textual.strip import Strip

from fwtop.formatting import (
    format_bytes,
    format_count,
    format_duration,
    format_moment,
    plural,
    printable,
)
from fwtop.runs.listed import ListedRun
from fwtop.tui.drawing import Row, Span, ends, fit, strip_of, wrap
from fwtop.tui.picker.purpose import Purpose
from fwtop.tui.widgets.frame import Frame
from fwtop.tui.widgets.table import Column, FrameTable

LETTERS = "ABCDEFGH"
STATES = {
    "starting": ("◌ starting", "warn"),
    "running": ("● running", "strong good"),
    "finishing": ("◌ finishing", "warn"),
    "unwatched": ("▲ unwatched", "strong warn"),
    "lost": ("✖ lost", "bad"),
    "unreadable": ("✖ unreadable", "bad"),
}


@dataclass(frozen=True)
class RunList:
    """The runs that are known so far."""

    purpose: Purpose
    runs: tuple[ListedRun, ...] = ()
    marked: tuple[str, ...] = ()
    """Paths, in the order in which they were marked."""
    reading: bool = True

    def chosen(self) -> list[ListedRun]:
        """The marked runs, as they were marked."""
        by_path = {one.path: one for one in self.runs}
        return [by_path[path] for path in self.marked if path in by_path]


class RunTable(FrameTable[RunList, ListedRun]):
    """The runs, newest first."""

    TITLE = "Runs"
    SORT = "started"
    ABOUT = (
        "The runs that are alive and the recordings in the state folder. Where several are taken, "
        "the first one marked (A) is the baseline. A median is of the steps of the lowest rank, "
        "without the first and those that were traced or compiled."
    )

    class Picked(Message):
        """Enter on a run."""

    def action_open(self) -> None:
        """Pick."""
        self.post_message(self.Picked())

    def headline(self, snapshot: RunList, width: int) -> Row:
        """How many there are, and what they take."""
        size = format_bytes(sum(one.size_bytes or 0 for one in snapshot.runs))
        row: Row = [(f"{plural(len(snapshot.runs), 'run')}, {size}", "dim")]
        if self.needle:
            row = [(f"/{self.needle}", "key"), ("  ", "dim"), *row]
        return [*row, (", reading …", "dim")] if snapshot.reading else row

    def awaited(self, snapshot: RunList) -> str | None:
        """There may be none."""
        if snapshot.runs:
            return None
        if snapshot.reading:
            return "reading …"
        return "No run here: `fwtop train.py` makes one."

    def items(self, snapshot: RunList) -> Sequence[ListedRun]:
        """The runs."""
        return snapshot.runs

    def key_of(self, item: ListedRun) -> str:
        """The file."""
        return item.path

    def text_of(self, item: ListedRun) -> str:
        """What the filter looks at."""
        return " ".join(
            (item.id, item.state, item.name or "", *item.tags, shlex.join(item.command))
        )

    def columns(self, snapshot: RunList) -> Sequence[Column[ListedRun]]:
        """The command takes what is left; name and tags are there if any run has them."""

        def mark(one: ListedRun) -> Span:
            if one.path not in snapshot.marked:
                return " ", "text"
            return LETTERS[snapshot.marked.index(one.path)], "key"

        def quiet(one: ListedRun) -> str:
            return "text" if snapshot.purpose.takes(one) else "dim"

        columns = [
            Column("state", "state", 12, state, lambda r: r.state, "left", rank=1),
            Column("started", "started", 16,
                   lambda r: (format_moment(r.started_unix_ns), quiet(r)),
                   lambda r: r.started_unix_ns, rank=2),
            Column("command", "command", 0,
                   lambda r: (r.what, quiet(r)), lambda r: r.what, "left", least=18),
            Column("steps", "steps", 9, lambda r: (format_count(r.steps), quiet(r)),
                   lambda r: r.steps, rank=4),
            Column("median", "median", 8, lambda r: (format_duration(r.median_ns), "strong"),
                   lambda r: r.median_ns, rank=3),
            Column("size", "size", 9, lambda r: (format_bytes(r.size_bytes), "dim"),
                   lambda r: r.size_bytes, rank=6),
        ]  # fmt: skip
        if any(one.tags for one in snapshot.runs):
            columns.insert(2, Column("tags", "tags", 16, lambda r: (", ".join(r.tags), "code"),
                                     lambda r: ", ".join(r.tags), "left", rank=5))  # fmt: skip
        if any(one.name for one in snapshot.runs):
            columns.insert(2, Column("name", "name", 14, lambda r: (r.name or "", "strong"),
                                     lambda r: r.name or "", "left", rank=1))  # fmt: skip
        if snapshot.purpose.most > 1:
            columns.insert(0, Column("mark", "", 1, mark, align="left"))
        return columns


class RunDetails(Frame[RunList], can_focus=False):
    """The selected run: what the table cut or left out."""

    TITLE = "Run"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(full=True, id=id)
        self._run: ListedRun | None = None

    def show(self, run: ListedRun | None) -> None:
        """Another run."""
        self._run = run
        self.repaint()

    def body(self, snapshot: RunList, width: int, height: int) -> list[Row]:
        """Id, figures, command, file."""
        run = self._run
        if run is None:
            return []
        sign, role = state(run)
        facts = f"{plural(run.steps or 0, 'step')}, {format_duration(run.median_ns)} median"
        first: Row = [(printable(run.id), "strong"), ("  ", "text"), (sign, role)]
        if run.name:
            first += [("  ", "text"), (printable(run.name), "strong")]
        if run.tags:
            first += [("  ", "text"), (printable(", ".join(run.tags)), "code")]
        rows: list[Row] = [
            ends(first, [(f"{facts}, took {format_duration(run.duration_ns)}", "dim")], width),
            [(fit(shlex.join(run.command) if run.command else run.what, width), "text")],
            [(fit(run.path, width, keep_end=True), "dim")],
        ]
        if run.problem is not None:
            rows[1:1] = [[(line, "bad")] for line in wrap(printable(run.problem), width)]
        return rows[:height]


class Question(Frame[RunList], can_focus=False):
    """The header: which command asks, and for what."""

    def __init__(self) -> None:
        super().__init__(id="header")

    def _draw(self) -> list[Strip]:
        width, height = self.size
        if self.snapshot is None:
            return [Strip.blank(width)] * height
        purpose = self.snapshot.purpose
        row: Row = [(f" {purpose.command} ", "title"), (f" {purpose.asks}", "text")]
        if purpose.most > 1:
            count = len(self.snapshot.chosen())
            row = ends(row, [(f"{count} of {purpose.least} to {purpose.most} marked ", "dim")],
                       width)  # fmt: skip
        return [strip_of(row, width)] + [Strip.blank(width)] * (height - 1)


def state(run: ListedRun) -> Span:
    """Sign, word and role of how a run stands."""
    if run.state in STATES:
        return STATES[run.state]
    if run.exit_signal is not None:
        return f"✖ signal {run.exit_signal}", "bad"
    if run.exit_status:
        return f"✖ failed {run.exit_status}", "bad"
    return "✔ finished", "good"
