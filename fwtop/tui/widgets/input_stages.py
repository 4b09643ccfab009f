"""The input pipeline's stages: what each took, and which of them the steps wait for."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.analysis.input_stages import BETWEEN, depth, last, waits, worst
from fwtop.formatting import format_duration, format_short_count, plural
from fwtop.recording.window_model import InputStageRow
from fwtop.tui import charts
from fwtop.tui.drawing import Row, Span, fit
from fwtop.tui.snapshot import Snapshot
from fwtop.tui.widgets.table import Column, Table


class InputStages(Table[InputStageRow]):
    """A row a stage, an inner one below the one that takes its elements."""

    SUBJECT = "operators"
    TITLE = "Input pipeline"
    SORT = "stage"
    NEEDS = frozenset({"operators", "steps"})
    ABOUT = (
        "The stages of the input pipeline in the traced steps, per step: below each the one that "
        "it takes its elements from. Wait is what the steps waited for because of that stage: of "
        "the time that the outermost stage took, what the stages below do not explain. ▲ is where "
        "to begin: the stage that is waited for most, if that is 5 % of a step or more. Self and "
        "total time are the stage's own, on whatever thread: stages that work ahead take their "
        "time beside the steps, and cost nothing until the steps wait.\n"
        "s next column, S the other way, / filter, t back to the operators."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """The trace may tell of none."""
        view = snapshot.operators
        if view is None or not view.rows:
            return "No trace window yet."
        if not view.stages:
            return "No stages: nothing was taken from an input pipeline in the traced steps."
        return None

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """How long the steps wait."""
        view = snapshot.operators
        if view is None or not view.stages:
            return []
        waited = sum(waits(view.stages).values()) / max(1, view.steps)
        told = f"waits {format_duration(waited)} a step, over {plural(view.steps, 'traced step')}"
        row: Row = [(f"/{self.needle}", "key"), ("  ", "dim")] if self.needle else []
        return [*row, (told, "dim")]

    def items(self, snapshot: Snapshot) -> Sequence[InputStageRow]:
        """Stages."""
        return snapshot.operators.stages if snapshot.operators else ()

    def key_of(self, item: InputStageRow) -> str:
        """Its path."""
        return item.path

    def columns(self, snapshot: Snapshot) -> Sequence[Column[InputStageRow]]:
        """The stage, and who is waited for."""
        view = snapshot.operators
        assert view is not None
        steps = max(1, view.steps)
        blame = waits(view.stages)
        whole = sum(blame.values()) or 1
        slowest = worst(blame, steps, _step_ns(snapshot))

        def wait_of(row: InputStageRow) -> int:
            return blame.get(row.path, 0)

        def in_order(row: InputStageRow) -> str:
            return row.path.replace(BETWEEN, "\0")  # before any letter, so that the inner follow

        def name(row: InputStageRow) -> Span:
            return "  " * depth(row.path) + last(row.path), "text"

        def share(row: InputStageRow) -> Row:
            ratio = wait_of(row) / whole
            marked = row.path == slowest
            return [
                *charts.bar(ratio, 8, "warn" if marked else "bar"),
                (fit(f"{ratio * 100:.1f}%", 7, "right"), "text"),
                (" ▲" if marked else "  ", "warn"),
            ]

        return (
            Column("stage", "stage", 0, name, in_order, "left", least=24),
            Column("wait", "wait/step", 10,
                   lambda r: (format_duration(wait_of(r) / steps), "strong"), wait_of),
            Column("share", "of the wait", 17, share, rank=1),
            Column("self", "self/step", 10,
                   lambda r: (format_duration(r.self_ns / steps), "text"), lambda r: r.self_ns,
                   rank=2),
            Column("total", "total/step", 11,
                   lambda r: (format_duration(r.total_ns / steps), "text"), lambda r: r.total_ns,
                   rank=3),
            Column("calls", "calls", 7, lambda r: (format_short_count(r.calls / steps), "text"),
                   lambda r: r.calls, rank=2),
        )  # fmt: skip


def _step_ns(snapshot: Snapshot) -> int | None:
    """A step's usual time in the whole run."""
    view = snapshot.steps
    return view.whole.median_ns if view is not None and view.whole is not None else None
