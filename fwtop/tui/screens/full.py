"""The full screen of each subject: the same panels with more columns, and panels for detail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from fwtop.tui import places
from fwtop.tui.places import Box, Part, Split
from fwtop.tui.screens.panel_screen import LAST_HINTS, PanelScreen
from fwtop.tui.snapshot import Snapshot, Wanted
from fwtop.tui.widgets.allocators import out_of_memory_rows
from fwtop.tui.widgets.compiles import CompileEvents, CompileTree
from fwtop.tui.widgets.device_time import DeviceTime
from fwtop.tui.widgets.findings import Findings
from fwtop.tui.widgets.gpus import GpuHistory, GpuProcesses, Gpus
from fwtop.tui.widgets.host import Host, HostHistory, HostProcesses
from fwtop.tui.widgets.input_stages import InputStages
from fwtop.tui.widgets.kernels import Kernels
from fwtop.tui.widgets.key_line import Hint
from fwtop.tui.widgets.log import Log
from fwtop.tui.widgets.operators import OperatorDetails, Operators
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.steps import Distribution, PhasesOverTime, SlowestSteps, Steps
from fwtop.tui.widgets.table import Table
from fwtop.tui.widgets.window_memory import MemoryHolders, WindowMemory

TABLES = {
    "operators": "operators",
    "kernels": "kernels",
    "stages": "input pipeline",
    "holders": "memory",
}
"""Of the operators' screen, in the order of `t`, and what the hint calls them."""
BOTH_WIDTH, BOTH_HEIGHT = 170, 44
"""From this size on, the GPUs' history and their time are side by side."""
SMALL_HEIGHT = 30


class FullScreen(PanelScreen):
    """One subject on a whole screen; Escape goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "app.back", "Back", show=False)
    ]

    def split(self, width: int, height: int) -> Split:
        """How the panels share the screen."""
        raise NotImplementedError

    def places(self, width: int, height: int) -> Mapping[str, Box]:
        """By the split."""
        around, box = places.frame(width, height)
        return {**around, **places.place(self.split(width, height), box)}

    def hints(self) -> tuple[Hint, ...]:
        """Back first."""
        return (
            ("escape", "esc", "back"),
            ("left", "←→", "time"),
            ("left_square_bracket", "[ ]", "zoom"),
            ("p", "p", "pause"),
            *LAST_HINTS,
        )


class StepsScreen(FullScreen):
    """Steps over the whole run."""

    SUBJECT = "steps"
    AUTO_FOCUS = "#slowest"

    def panels(self) -> list[Panel]:
        """History, phases, distribution, the slowest."""
        return [
            Steps(full=True),
            PhasesOverTime(full=True, id="phases"),
            Distribution(full=True, id="distribution"),
            SlowestSteps(full=True, id="slowest"),
        ]

    def split(self, width: int, height: int) -> Split:
        """Plots above, tables below."""
        below = Split(
            (Part("slowest", 3, 50), Part("distribution", 2, 40, priority=1)), across=True
        )
        return Split(
            (Part("steps", 5, 9), Part("phases", 4, 7, priority=2), Part(below, 4, 7, priority=1))
        )


class OperatorsScreen(FullScreen):
    """Operators, and the selected one in detail; `t` shows what else the traced steps tell."""

    SUBJECT = "operators"
    AUTO_FOCUS = "#operators"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "next_table", "Next table")]

    def __init__(self) -> None:
        super().__init__()
        self._table = "operators"

    def panels(self) -> list[Panel]:
        """Tables and detail."""
        return [
            Operators(full=True),
            Kernels(full=True, id="kernels"),
            InputStages(full=True, id="stages"),
            WindowMemory(full=True, id="memory"),
            MemoryHolders(full=True, id="holders"),
            OperatorDetails(full=True, id="details"),
        ]

    def split(self, width: int, height: int) -> Split:
        """Detail beside the table, or below where that is too narrow."""
        if self._table == "holders":
            return Split((Part("memory", 3, 6, priority=1), Part("holders", 4, 6)))
        if self._table != "operators":
            return Split((Part(self._table, 1, 4),))
        across = width >= 150
        return Split(
            (
                Part("operators", 5, 60 if across else 6),
                Part("details", 3, 44 if across else 8, priority=1),
            ),
            across=across,
        )

    def hints(self) -> tuple[Hint, ...]:
        """With the switch."""
        return (("t", "t", TABLES[self._next()]), ("c", "c", "capture deep"), *super().hints())

    def _next(self) -> str:
        """The next table that has something; the kernels', which says why not, if no other has."""
        view = self.snapshot.operators if self.snapshot is not None else None
        there = {
            "operators": True,
            "kernels": bool(view and view.kernels),
            "stages": bool(view and view.stages),
            "holders": bool(view and view.memory),
        }
        order = list(TABLES)
        at = order.index(self._table) + 1
        following = [name for name in (*order[at:], *order[: at - 1]) if there[name]]
        return following[0] if following else "kernels"

    def action_next_table(self) -> None:
        """The next table, at last the operators again."""
        self._table = self._next()
        self.put_frames()
        self.query_one(f"#{self._table}").focus()
        self.show_keys()

    def wanted(self, before: Wanted) -> Wanted:
        """With the selected operator."""
        item = self.query_one("#operators", Operators).chosen()
        return replace(super().wanted(before), operator=item.name if item else None)

    def watch_snapshot(self, before: Snapshot | None, after: Snapshot | None) -> None:
        """The detail follows the selection."""
        super().watch_snapshot(before, after)
        self.call_after_refresh(self._follow)

    @on(Table.Selected)
    def _follow(self) -> None:
        table = self.query_one("#operators", Operators)
        self.query_one("#details", OperatorDetails).show(table.chosen())
        self.ask()


class CompileScreen(FullScreen):
    """Compile events, and the selected one's phases."""

    SUBJECT = "compile"
    AUTO_FOCUS = "#events"

    def panels(self) -> list[Panel]:
        """Events and timeline."""
        return [CompileEvents(full=True, id="events"), CompileTree(full=True, id="tree")]

    def split(self, width: int, height: int) -> Split:
        """Events above."""
        return Split((Part("events", 1, 6), Part("tree", 1, 6, priority=1)))

    def watch_snapshot(self, before: Snapshot | None, after: Snapshot | None) -> None:
        """The timeline follows the selection."""
        super().watch_snapshot(before, after)
        self.call_after_refresh(self._follow)

    @on(Table.Selected)
    def _follow(self) -> None:
        item = self.query_one("#events", CompileEvents).chosen()
        self.query_one("#tree", CompileTree).show(item)


class GpusScreen(FullScreen):
    """GPUs with their history and who is on them; `t` shows where their time went instead.

    A wide screen shows both. A recording without readings of the devices begins with their time.
    """

    SUBJECT = "gpus"
    AUTO_FOCUS = "#gpu_processes"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "time", "Device time")]

    def __init__(self) -> None:
        super().__init__()
        self._chosen: str | None = None
        self._put: frozenset[str] | None = None

    def panels(self) -> list[Panel]:
        """Rows, history, processes, the devices' time."""
        return [
            Gpus(full=True),
            GpuHistory(full=True, id="gpu_history"),
            GpuProcesses(full=True, id="gpu_processes"),
            DeviceTime(full=True, id="device_time"),
        ]

    def _shown(self, width: int, height: int) -> frozenset[str]:
        """`history`, `time`, or both where there is room for both."""
        view = self.snapshot.gpus if self.snapshot is not None else None
        if self._chosen is not None:
            return frozenset({self._chosen})
        told = (
            view is not None and view.device_time is not None and view.device_time.use is not None
        )
        if told and view is not None and not view.latest:
            return frozenset({"time"})
        if told and width >= BOTH_WIDTH and height >= BOTH_HEIGHT:
            return frozenset({"history", "time"})
        return frozenset({"history"})

    def split(self, width: int, height: int) -> Split:
        """Rows above; below them history and processes, or the devices' time, or all."""
        self._put = self._shown(width, height)
        lines = self._lines(width)
        least, most = min(lines, max(4, height // 3)), max(4, min(lines, height // 2))
        history = (
            Part("gpu_history", 4, 6, priority=1),
            Part("gpu_processes", 2, 4, priority=2),
        )
        if len(self._put) > 1:
            both = (Part(Split(history), 1, 60), Part("device_time", 1, 80))
            below = Part(Split(both, across=True), 6, 12)
            return Split((Part("gpus", 1, least, most=most), below))
        if "time" in self._put:
            few = 3 if height < SMALL_HEIGHT else 6
            rows = Part("gpus", 1, min(lines, few), priority=1, most=min(most, few))
            return Split((rows, Part("device_time", 6, 10)))
        return Split((Part("gpus", 1, least, most=most), *history))

    def _lines(self, width: int) -> int:
        count = len(self.snapshot.devices) if self.snapshot is not None else 1
        view = self.snapshot.gpus if self.snapshot is not None else None
        parts = 90 if self.snapshot is None or not self.snapshot.memory else 135
        lines = count * (1 + parts // max(40, width - 60)) + 2
        if view is not None:
            lines += len(out_of_memory_rows(view.out_of_memory, width, full=True))
        return lines

    def hints(self) -> tuple[Hint, ...]:
        """With the switch."""
        other = "history" if self._put == frozenset({"time"}) else "device time"
        return (("t", "t", other), *super().hints())

    def action_time(self) -> None:
        """The devices' time instead of their history, and back."""
        self._chosen = "history" if self._put == frozenset({"time"}) else "time"
        self.put_frames()
        self.query_one("#device_time" if self._chosen == "time" else "#gpu_processes").focus()
        self.show_keys()

    def watch_snapshot(self, before: Snapshot | None, after: Snapshot | None) -> None:
        """What it begins with is known with the first picture."""
        super().watch_snapshot(before, after)
        if self._put is not None and self._put != self._shown(*self.size):
            self.put_frames()
            self.show_keys()


class HostScreen(FullScreen):
    """The host with its history and the run's processes."""

    SUBJECT = "host"
    AUTO_FOCUS = "#host_processes"

    def panels(self) -> list[Panel]:
        """Figures, history, processes."""
        return [
            Host(full=True),
            HostHistory(full=True, id="host_history"),
            HostProcesses(full=True, id="host_processes"),
        ]

    def split(self, width: int, height: int) -> Split:
        """Figures and processes at the left, plots at the right or above."""
        if width >= 110:
            left = Split((Part("host", 3, 9), Part("host_processes", 4, 5)))
            return Split((Part(left, 2, 50), Part("host_history", 3, 50, priority=1)), across=True)
        return Split(
            (
                Part("host", 2, 8),
                Part("host_history", 3, 8, priority=2),
                Part("host_processes", 2, 4, priority=1),
            )
        )


class LogScreen(FullScreen):
    """The whole log."""

    SUBJECT = "log"
    AUTO_FOCUS = "#log"

    def panels(self) -> list[Panel]:
        """The log alone."""
        return [Log(full=True)]

    def split(self, width: int, height: int) -> Split:
        """All of it."""
        return Split((Part("log", 1, 3),))


class FindingsScreen(FullScreen):
    """Findings with their evidence."""

    SUBJECT = "findings"
    AUTO_FOCUS = "#findings"

    def panels(self) -> list[Panel]:
        """Findings alone."""
        return [Findings(full=True)]

    def split(self, width: int, height: int) -> Split:
        """All of it."""
        return Split((Part("findings", 1, 3),))


FULL_SCREENS: Mapping[str, type[FullScreen]] = {
    "steps": StepsScreen,
    "operators": OperatorsScreen,
    "compile": CompileScreen,
    "gpus": GpusScreen,
    "host": HostScreen,
    "log": LogScreen,
    "findings": FindingsScreen,
}
