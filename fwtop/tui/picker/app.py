"""The picker: a list of runs to choose from, to label and to remove.

Reading, labelling and removing run in threads; the list shows what is there so far.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var
from textual.widget import Widget

from fwtop.control import ControlError
from fwtop.formatting import format_bytes, plural, printable
from fwtop.recording.store import RecordingError
from fwtop.runs.labels import LabelError, label
from fwtop.runs.listed import ListedRun, each_run, recency
from fwtop.runs.removal import RemovalError, remove
from fwtop.tui import places
from fwtop.tui.picker.frames import Question, RunDetails, RunList, RunTable
from fwtop.tui.picker.purpose import Purpose
from fwtop.tui.places import Box, Part, Split
from fwtop.tui.screens.dialogs import Choice, Option, Prompt
from fwtop.tui.screens.frame_screen import FrameScreen
from fwtop.tui.terminal_app import TerminalApp
from fwtop.tui.widgets.frame import Frame
from fwtop.tui.widgets.key_line import Hint
from fwtop.tui.widgets.table import FrameTable

BATCH_S = 0.25
"""How often the list is shown while it is being read."""

KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("space", "space", "mark", "mark a run, and go to the next"),
    ("", "enter", "", "take the marked runs, or the selected one"),
    ("", "/", "", "filter by id, state, name, tags and command, as you type"),
    ("", "s S", "", "sort by the next column, the other way"),
    ("t", "t", "tags", "the selected run's tags"),
    ("n", "n", "name", "the selected run's name"),
    ("d,delete", "d", "delete", "remove the selected or the marked runs; asks first"),
    ("r,f5", "r", "read", "read the list again"),
    ("question_mark", "?", "help", "this help"),
    ("ctrl+l", "^l", "repaint", "draw the screen anew"),
    ("escape", "esc", "back", "no filter; then leave"),
    ("q,ctrl+q,ctrl+c", "q", "leave", "leave"),
)


class RunsRead(Message):
    """The runs that are known so far."""

    def __init__(self, runs: tuple[ListedRun, ...], reading: bool) -> None:
        super().__init__()
        self.runs = runs
        self.reading = reading

    def can_replace(self, message: Message) -> bool:
        """Only the longest list matters."""
        return isinstance(message, RunsRead)


class Changed(Message):
    """Runs were labelled or removed, or could not be."""

    def __init__(self, text: str, runs: Sequence[ListedRun] = (), gone: Sequence[str] = ()) -> None:
        super().__init__()
        self.text = text
        self.runs = {one.path: one for one in runs}
        self.gone = frozenset(gone)


class PickerScreen(FrameScreen):
    """The list, and the selected run below."""

    AUTO_FOCUS = "#runs"

    runs: var[RunList | None] = var(None, init=False)

    def head(self) -> Widget:
        """What is asked."""
        return Question().data_bind(snapshot=PickerScreen.runs)

    def frames(self) -> Sequence[Frame[Any]]:
        """Table and details."""
        return [
            RunTable(full=True, id="runs").data_bind(snapshot=PickerScreen.runs),
            RunDetails(id="details").data_bind(snapshot=PickerScreen.runs),
        ]

    def places(self, width: int, height: int) -> Mapping[str, Box]:
        """The details keep their lines; a small terminal shows the list only."""
        around, box = places.frame(width, height)
        around["header"] = Box(0, 0, width, 1)
        box = Box(0, 1, width, height - 2)
        details = 5 if places.boxed(width, height) else 4
        split = Split((Part("runs", 1, 8), Part("details", 0, details, priority=1, most=details)))
        return {**around, **places.place(split, box)}

    def hints(self) -> tuple[Hint, ...]:
        """What this list is for, first."""
        purpose = self.runs.purpose if self.runs is not None else None
        several = purpose is not None and purpose.most > 1
        verb = purpose.verb if purpose is not None else "open"
        return (
            *((("space", "space", "mark"),) if several else ()),
            ("enter", "enter", verb),
            ("t", "t", "tags"),
            ("n", "n", "name"),
            ("d", "d", "delete"),
            ("q", "q", "leave"),
            ("question_mark", "?", "help"),
        )

    def watch_runs(self) -> None:
        """The details follow."""
        self.show_keys()
        self.call_after_refresh(self._follow)

    @on(FrameTable.Selected)
    def _follow(self) -> None:
        self.query_one(RunDetails).show(self.query_one(RunTable).chosen())


class PickerApp(TerminalApp[list[ListedRun]]):
    """Ends with the runs that were picked, or with None."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, does, show=False) for key, _, action, does in KEYS if key
    ]
    HELP_KEYS = tuple((written, does) for _, written, _, does in KEYS)

    def __init__(self, purpose: Purpose, state_folder: Path, **options: Any) -> None:
        super().__init__(**options)
        self._purpose = purpose
        self._state_folder = state_folder
        self.list = RunList(purpose)

    def on_mount(self) -> None:
        """Show the list, and begin to read."""
        screen = PickerScreen()
        self.push_screen(screen)
        screen.call_after_refresh(self._show, self.list)
        self._read()

    @property
    def _table(self) -> RunTable:
        screen = self.frame_screen
        assert screen is not None
        return screen.query_one(RunTable)

    def _show(self, runs: RunList) -> None:
        self.list = runs
        if isinstance(screen := self.frame_screen, PickerScreen):
            screen.runs = runs

    # Reading

    @work(thread=True, exclusive=True, group="read")
    def _read(self) -> None:
        found: list[ListedRun] = []
        shown_s = time.monotonic()
        for one in each_run(self._state_folder):
            if self._purpose.live_only and not one.live:
                continue
            found.append(one)
            if time.monotonic() - shown_s > BATCH_S:
                shown_s = time.monotonic()
                self.post_message(RunsRead(tuple(found), reading=True))
        found.sort(key=recency, reverse=True)
        self.post_message(RunsRead(tuple(found), reading=False))

    def on_runs_read(self, message: RunsRead) -> None:
        """Show them."""
        self._show(replace(self.list, runs=message.runs, reading=message.reading))

    def action_read(self) -> None:
        """Again."""
        self._show(replace(self.list, reading=True))
        self._read()

    # Picking

    def action_mark(self) -> None:
        """Mark the selected run, or take the mark away; then the next is selected."""
        run = self._table.chosen()
        if run is None or self._purpose.most == 1:
            return
        marked = self.list.marked
        if run.path in marked:
            marked = tuple(path for path in marked if path != run.path)
        elif not self._purpose.takes(run):
            self.say("this one cannot be read")
            return
        elif len(marked) == self._purpose.most:
            self.say(f"at most {self._purpose.most} runs")
            return
        else:
            marked = (*marked, run.path)
        self._show(replace(self.list, marked=marked))
        self._table.action_move(1)

    @on(RunTable.Picked)
    def _pick(self) -> None:
        """The marked runs; one short of enough, the selected one is meant too."""
        picked = self.list.chosen()
        run = self._table.chosen()
        if run is None:
            return
        if len(picked) < self._purpose.least and run not in picked:
            picked.append(run)
        if not all(self._purpose.takes(one) for one in picked):
            self.say("this one cannot be read")
        elif len(picked) < self._purpose.least:
            self.say(f"mark {plural(self._purpose.least, 'run')} with space")
        else:
            self.exit(picked)

    async def action_back(self) -> None:
        """Without the filter; without one, leave."""
        if self._table.needle:
            self._table.filter_by("")
        else:
            self.exit(None)

    def action_leave(self) -> None:
        """Without any."""
        self.exit(None)

    def action_interrupt(self) -> None:
        """Ctrl-C in a line of text."""
        self.exit(None)

    # Labels

    def action_name(self) -> None:
        """Ask for another name."""
        run = self._table.chosen()
        if run is not None:
            self.push_screen(
                Prompt(f"name of {printable(run.id)}:", printable(run.name or "")),
                lambda text: None if text is None else self._label(run, text.strip(), run.tags),
            )

    def action_tags(self) -> None:
        """Ask for other tags."""
        run = self._table.chosen()
        if run is not None:
            self.push_screen(
                Prompt(
                    f"tags of {printable(run.id)}, with commas between:",
                    printable(", ".join(run.tags)),
                ),
                lambda text: None if text is None else self._label(run, run.name, split_tags(text)),
            )

    @work(thread=True, group="change")
    def _label(self, run: ListedRun, name: str | None, tags: tuple[str, ...]) -> None:
        try:
            label(run, name, tags)
        except (LabelError, RecordingError, ControlError) as error:
            self.post_message(Changed(str(error)))
        else:
            self.post_message(Changed("", [replace(run, name=name or None, tags=tags)]))

    # Removing

    def action_delete(self) -> None:
        """Ask whether to remove the marked runs, or the selected one."""
        run = self._table.chosen()
        runs = self.list.chosen() or ([run] if run is not None else [])
        if not runs:
            return
        size = format_bytes(sum(one.size_bytes or 0 for one in runs))
        what = printable(runs[0].id) if len(runs) == 1 else plural(len(runs), "run")
        self.push_screen(
            Choice(
                f"Remove {plural(len(runs), 'run')}?",
                f"{what}: {size} of recordings. This cannot be undone.",
                (Option("c", "cancel", "keep it"), Option("d", "delete", f"remove {what}")),
            ),
            lambda answer: self._remove(runs) if answer == "d" else None,
        )

    @work(thread=True, group="change")
    def _remove(self, runs: Sequence[ListedRun]) -> None:
        gone, freed, text = [], 0, ""
        for run in runs:
            try:
                freed += remove(run)
                gone.append(run.path)
            except RemovalError as error:
                text = f"{error}; {error.next}" if error.next else str(error)
        self.post_message(Changed(text or f"{format_bytes(freed)} freed", gone=gone))

    def on_changed(self, message: Changed) -> None:
        """Show what became of it."""
        runs = tuple(
            message.runs.get(one.path, one)
            for one in self.list.runs
            if one.path not in message.gone
        )
        marked = tuple(path for path in self.list.marked if path not in message.gone)
        self._show(replace(self.list, runs=runs, marked=marked))
        self.say(message.text)


def split_tags(text: str) -> tuple[str, ...]:
    """`a, b` as two tags."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
