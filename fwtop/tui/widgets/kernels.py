"""Kernels: what ran on the device, and how well each kernel filled it."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.analysis.tensor_cores import uses_tensor_cores
from fwtop.formatting import format_duration, format_ratio, format_short_count
from fwtop.recording.window_model import KernelRow
from fwtop.tui.drawing import Span
from fwtop.tui.snapshot import Snapshot
from fwtop.tui.widgets.table import Column, Table


class Kernels(Table[KernelRow]):
    """Kernels, copies and fills on the device."""

    SUBJECT = "operators"
    TITLE = "Kernels"
    SORT = "time"
    NEEDS = frozenset({"operators"})
    ABOUT = (
        "What ran on the device in the trace windows, per traced step. Occupancy is estimated: "
        "warps against the most that a multiprocessor takes, from the launch's sizes. SM: the "
        "share of the multiprocessors that had a block. TC: the kernel's name says that it runs on "
        "tensor cores (compilers' names do not tell)."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """There may be no device."""
        view = snapshot.operators
        if view is None or not view.rows:
            return "No trace window yet."
        if not view.kernels:
            return "No kernels: nothing ran on a GPU in the traced steps."
        return None

    def items(self, snapshot: Snapshot) -> Sequence[KernelRow]:
        """Kernels."""
        return snapshot.operators.kernels if snapshot.operators else ()

    def key_of(self, item: KernelRow) -> str:
        """Its name."""
        return item.name

    def text_of(self, item: KernelRow) -> str:
        """What the filter looks at."""
        return f"{item.name} {item.family}"

    def columns(self, snapshot: Snapshot) -> Sequence[Column[KernelRow]]:
        """Name and time first, then how well it fills the device."""
        view = snapshot.operators
        assert view is not None
        steps = max(1, view.steps)
        whole = sum(row.total_ns for row in view.kernels) or 1

        def tensor_cores(row: KernelRow) -> Span:
            return ("TC", "good") if uses_tensor_cores(row.name) else ("", "text")

        columns: list[Column[KernelRow]] = [
            Column("name", "kernel", 0, lambda r: (r.name, "text"), lambda r: r.name, "left",
                   least=18),
            Column("family", "family", 13, lambda r: (r.family, "dim"), lambda r: r.family,
                   "left", rank=4),
            Column("time", "time/step", 10,
                   lambda r: (format_duration(r.total_ns / steps), "strong"),
                   lambda r: r.total_ns),
            Column("share", "share", 8, lambda r: (f"{r.total_ns / whole * 100:.1f}%", "text"),
                   rank=1),
            Column("calls", "calls", 8, lambda r: (format_short_count(r.calls / steps), "text"),
                   lambda r: r.calls, rank=2),
            Column("mean", "a call", 9,
                   lambda r: (format_duration(r.total_ns / max(1, r.calls)), "text"),
                   lambda r: r.total_ns / max(1, r.calls), rank=5),
        ]  # fmt: skip
        if any(row.measured_ns for row in view.kernels):
            columns += [
                Column("occupancy", "occupancy", 10,
                       lambda r: (format_ratio(r.occupancy_ratio), "text"),
                       lambda r: r.occupancy_ratio, rank=2),
                Column("sm", "SM", 8, lambda r: (format_ratio(r.sm_efficiency_ratio), "text"),
                       lambda r: r.sm_efficiency_ratio, rank=3),
            ]  # fmt: skip
        columns.append(
            Column("tensor_cores", "TC", 3, tensor_cores, lambda r: uses_tensor_cores(r.name),
                   "left", rank=3)
        )  # fmt: skip
        return columns
