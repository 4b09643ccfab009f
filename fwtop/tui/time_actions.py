"""The keys that move along the time axis: the cursor, pause, and zoom. Arithmetic is `timeline`'s.

A mixin of the application's, which holds what is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import App

from fwtop.tui import timeline
from fwtop.tui.snapshot import Moment, Snapshot, Wanted
from fwtop.tui.widgets.steps import SlowestSteps


class TimeActions(App[None]):
    """Each changes what is wanted, given the moment that is shown."""

    if TYPE_CHECKING:
        snapshot: Snapshot | None

        def want(self, change: Callable[[Wanted], Wanted]) -> None:
            """Something else is to be shown."""

    def action_cursor(self, bins: int) -> None:
        """Move the time cursor."""
        self._at(lambda wanted, moment: timeline.moved(wanted, moment, bins))

    def action_start(self) -> None:
        """The cursor at the run's start."""
        self._at(lambda wanted, moment: timeline.at(wanted, moment, 0))

    def action_live(self) -> None:
        """No cursor, no pause."""
        self._at(lambda wanted, moment: timeline.live(
            wanted if wanted.paused_ns is None else timeline.paused(wanted, moment)
        ))  # fmt: skip

    def action_pause(self) -> None:
        """Freeze what is shown; recording goes on."""
        self._at(timeline.paused)

    def action_zoom(self, by: int) -> None:
        """More or less time in the plots."""
        self._at(lambda wanted, moment: timeline.zoomed(wanted, moment, by))

    def _at(self, change: Callable[[Wanted, Moment], Wanted]) -> None:
        if self.snapshot is not None:
            moment = self.snapshot.moment
            self.want(lambda wanted: change(wanted, moment))

    @on(SlowestSteps.Visited)
    def _visit(self, message: SlowestSteps.Visited) -> None:
        at_ns = message.step.start_ns + message.step.duration_ns // 2
        self._at(lambda wanted, moment: timeline.at(wanted, moment, at_ns))
