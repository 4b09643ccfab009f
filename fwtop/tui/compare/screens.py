"""The comparison's screens: all of it at a glance, and one for each subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.reactive import var
from textual.widget import Widget

from fwtop.tui import places
from fwtop.tui.compare.frames import Head, Notes, Spread, VerdictFrame, Words
from fwtop.tui.compare.picture import Picture
from fwtop.tui.compare.rows import figures_of
from fwtop.tui.compare.tables import (
    CompareTable,
    CompileFigures,
    Configuration,
    DeviceFigures,
    Figures,
    Findings,
    MachineFigures,
    StepFigures,
)
from fwtop.tui.compare.work import Kernels, Work
from fwtop.tui.places import Box, Part, Split
from fwtop.tui.screens.frame_screen import FrameScreen
from fwtop.tui.widgets.frame import Frame
from fwtop.tui.widgets.key_line import Hint
from fwtop.tui.widgets.table import FrameTable

LAST_HINTS: tuple[Hint, ...] = (
    ("x", "x", "swap"),
    ("e", "e", "markdown"),
    ("q", "q", "leave"),
    ("question_mark", "?", "help"),
)


class CompareScreen(FrameScreen):
    """Frames that all draw the same picture."""

    picture: var[Picture | None] = var(None, init=False)

    def contents(self) -> Sequence[Frame[Picture]]:
        """The frames."""
        raise NotImplementedError

    def split(self, width: int, height: int) -> Split:
        """How they share the screen."""
        raise NotImplementedError

    def head(self) -> Widget:
        """Which runs."""
        return Head().data_bind(snapshot=CompareScreen.picture)

    def frames(self) -> Sequence[Frame[Any]]:
        """Each with the picture."""
        return [frame.data_bind(snapshot=CompareScreen.picture) for frame in self.contents()]

    def places(self, width: int, height: int) -> Mapping[str, Box]:
        """One line of header, by the split, one of keys."""
        around = {"header": Box(0, 0, width, 1), "keys": Box(0, height - 1, width, 1)}
        box = Box(0, 1, width, height - 2)
        return {**around, **places.place(self.split(width, height), box)}

    def verdict_lines(self, width: int) -> int:
        """How many the verdict takes."""
        return 0 if self.picture is None else len(VerdictFrame.whole(self.picture, width))

    def watch_picture(self, before: Picture | None, after: Picture | None) -> None:
        """Another number of runs, verdicts or notes needs other places."""
        self.put_frames()


class Overview(CompareScreen):
    """The verdict, what changed, which operators, what is wrong."""

    AUTO_FOCUS = "#figures"

    def contents(self) -> Sequence[Frame[Picture]]:
        """In the order of Tab."""
        return [
            VerdictFrame(id="verdict"),
            Spread(id="spread"),
            Figures(id="figures"),
            Work(id="work"),
            Findings(id="findings"),
            Configuration(id="configuration"),
        ]

    def hints(self) -> tuple[Hint, ...]:
        """The screens first."""
        return (("tab", "1-7", "open"), *LAST_HINTS)

    def split(self, width: int, height: int) -> Split:
        """Verdict above, tables below."""
        runs = len(self.picture.sources) if self.picture is not None else 2
        frame = 2 if places.boxed(width, height) else 1
        verdict = Part("verdict", 3, 40)
        spread = Part("spread", 2, 36, priority=1)
        if width >= 100:
            least = max(6, frame + 2 + 2 * runs) if height >= 34 else frame + 1 + runs
            lines = max(least, min(height // 3, frame + self.verdict_lines(width * 3 // 5 - 4)))
            top = Part(Split((verdict, spread), across=True), 2, lines, most=lines)
        else:
            lines = frame + (3 if runs == 2 else runs)
            top = Part(
                Split((Part("verdict", 1, lines), Part("spread", 0, frame + 1 + runs,
                       priority=1, most=frame + 1 + runs))),
                1, 2 * lines, most=2 * lines + (runs > 2),
            )  # fmt: skip
        if width >= 160 and height >= 40:
            middle = Split((Part("figures", 1, 60), Part("work", 1, 70, priority=1)), across=True)
            below = Split(
                (Part("findings", 1, 60), Part("configuration", 1, 60, priority=1)), across=True
            )
            return Split((top, Part(middle, 4, 12), Part(below, 1, 5, priority=2)))
        return Split(
            (
                top,
                Part("figures", 5, 5),
                Part("work", 5, 5, priority=1),
                Part("findings", 2, 5, priority=2, most=9),
            )
        )


class SubjectScreen(CompareScreen):
    """One subject on a whole screen; Escape goes back."""

    SUBJECT: ClassVar[str] = ""

    def hints(self) -> tuple[Hint, ...]:
        """Back first."""
        return (("escape", "esc", "back"), ("tab", "1-7", "open"), *LAST_HINTS)


class StepsScreen(SubjectScreen):
    """Step time, phases, throughput, and how the steps are spread."""

    SUBJECT = "steps"
    AUTO_FOCUS = "#figures"

    def contents(self) -> Sequence[Frame[Picture]]:
        """Figures and plot."""
        return [
            VerdictFrame(id="verdict", full=True),
            StepFigures(id="figures", full=True),
            Spread(id="spread", full=True),
        ]

    def split(self, width: int, height: int) -> Split:
        """Figures above."""
        runs = len(self.picture.sources) if self.picture is not None else 2
        frame = 2 if places.boxed(width, height) else 1
        most = max(4, min(height // 3, frame + self.verdict_lines(width - 4)))
        verdict = Part("verdict", 1, most, priority=1, most=most)
        plot = Part("spread", 2, 3 + runs, priority=2, most=3 + 4 * runs)
        return Split((verdict, Part("figures", 4, 8), plot))


class _WithWords(SubjectScreen):
    """A table whose selected row is written out below."""

    def words_lines(self, width: int, height: int) -> int:
        """How many it takes to write an operator out."""
        runs = len(self.picture.sources) if self.picture is not None else 2
        return (2 if places.boxed(width, height) else 1) + 2 + runs

    def watch_picture(self, before: Picture | None, after: Picture | None) -> None:
        """The words follow the selection."""
        super().watch_picture(before, after)
        self.call_after_refresh(self._follow)

    @on(FrameTable.Selected)
    def _follow(self) -> None:
        table: CompareTable[Any] = self.query_one(self.AUTO_FOCUS or "*", CompareTable)
        self.query_one(Words).show(table.chosen())


class OperatorsScreen(_WithWords):
    """All families, with what is in them."""

    SUBJECT = "operators"
    AUTO_FOCUS = "#work"

    def contents(self) -> Sequence[Frame[Picture]]:
        """The tree, and the selected row of it."""
        return [Work(id="work", full=True), Words(id="words")]

    def split(self, width: int, height: int) -> Split:
        """Words below."""
        lines = self.words_lines(width, height)
        return Split((Part("work", 1, 8), Part("words", 0, lines, priority=1, most=lines)))


class KernelsScreen(_WithWords):
    """Device time and kernels."""

    SUBJECT = "kernels"
    AUTO_FOCUS = "#kernels"

    def contents(self) -> Sequence[Frame[Picture]]:
        """Figures and kernels."""
        return [
            DeviceFigures(id="figures", full=True), Kernels(id="kernels", full=True),
            Words(id="words"),
        ]  # fmt: skip

    def split(self, width: int, height: int) -> Split:
        """Figures above, words below."""
        lines = self.words_lines(width, height)
        comparison = self.picture.comparison if self.picture is not None else None
        count = len(figures_of(comparison, DeviceFigures.SECTIONS)) if comparison else 3
        figures = Part("figures", 2, 5, priority=1, most=max(5, count + 3))
        words = Part("words", 0, lines, priority=2, most=lines)
        return Split((figures, Part("kernels", 3, 6), words))


class CompileScreen(SubjectScreen):
    """Compiles, recompiles, graph breaks, caches."""

    SUBJECT = "compile"
    AUTO_FOCUS = "#figures"

    def contents(self) -> Sequence[Frame[Picture]]:
        """Figures alone."""
        return [CompileFigures(id="figures", full=True)]

    def split(self, width: int, height: int) -> Split:
        """All of it."""
        return Split((Part("figures", 1, 5),))


class MachineScreen(SubjectScreen):
    """Memory, GPUs and host."""

    SUBJECT = "memory, GPUs and host"
    AUTO_FOCUS = "#figures"

    def contents(self) -> Sequence[Frame[Picture]]:
        """Figures alone."""
        return [MachineFigures(id="figures", full=True)]

    def split(self, width: int, height: int) -> Split:
        """All of it."""
        return Split((Part("figures", 1, 5),))


class FindingsScreen(_WithWords):
    """Findings, the selected one in each run's words."""

    SUBJECT = "findings"
    AUTO_FOCUS = "#findings"

    def contents(self) -> Sequence[Frame[Picture]]:
        """Table and words."""
        return [Findings(id="findings", full=True), Words(id="words")]

    def split(self, width: int, height: int) -> Split:
        """Words below."""
        return Split((Part("findings", 1, 5), Part("words", 1, 6, priority=1)))


class ConfigurationScreen(_WithWords):
    """What the runs were given, and what makes them hard to compare."""

    SUBJECT = "configuration"
    AUTO_FOCUS = "#configuration"

    def contents(self) -> Sequence[Frame[Picture]]:
        """Table, words, notes."""
        return [
            Configuration(id="configuration", full=True), Words(id="words"),
            Notes(id="notes", full=True),
        ]  # fmt: skip

    def split(self, width: int, height: int) -> Split:
        """Notes last."""
        return Split(
            (
                Part("configuration", 2, 6),
                Part("words", 2, 6, priority=2),
                Part("notes", 1, 4, priority=1),
            )
        )


SCREENS: tuple[type[SubjectScreen], ...] = (
    StepsScreen,
    OperatorsScreen,
    KernelsScreen,
    CompileScreen,
    MachineScreen,
    FindingsScreen,
    ConfigurationScreen,
)
"""By their numbers, from 1."""
