"""The first screen: every panel side by side, as many as there is room for."""

from __future__ import annotations

from collections.abc import Mapping

from fwtop.tui import places
from fwtop.tui.places import Box
from fwtop.tui.screens.panel_screen import LAST_HINTS, PanelScreen, _gpus
from fwtop.tui.widgets.compiles import Compiles
from fwtop.tui.widgets.findings import Findings, TopFinding
from fwtop.tui.widgets.gpus import Gpus
from fwtop.tui.widgets.host import Host
from fwtop.tui.widgets.key_line import Hint
from fwtop.tui.widgets.log import Log
from fwtop.tui.widgets.operators import Operators
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.steps import Steps


class Overview(PanelScreen):
    """All subjects at a glance."""

    AUTO_FOCUS = "#steps"

    def panels(self) -> list[Panel]:
        """In the order of their numbers, which is the order of Tab."""
        return [
            TopFinding(id="top_finding"),
            Steps(),
            Operators(),
            Compiles(),
            Gpus(),
            Host(),
            Log(),
            Findings(),
        ]

    def places(self, width: int, height: int) -> Mapping[str, Box]:
        """By size, and by whether there are GPUs."""
        return places.overview(width, height, _gpus(self.snapshot))

    def hints(self) -> tuple[Hint, ...]:
        """The keys that matter most."""
        live = self.snapshot is None or self.snapshot.live
        return (
            ("enter", "1-7", "open"),
            ("left", "←→", "time"),
            ("p", "p", "pause"),
            *((("c", "c", "capture"), ("d", "d", "detach")) if live else ()),
            *LAST_HINTS,
        )
