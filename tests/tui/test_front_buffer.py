"""What the front buffer writes makes the same screen as what Textual writes, and is less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyte
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import CompositorUpdate
from textual.screen import Screen
from textual.strip import Strip

from fwtop.tui.app import FwtopApp
from fwtop.tui.front_buffer import FrontBuffer, changed_runs
from tests.tui.conftest import app_on, loaded, until


class Recorder:
    """Writes every update of an application twice: as Textual does, and through the buffer."""

    def __init__(self, app: FwtopApp) -> None:
        self.plain: list[str] = []
        self.diffed: list[str] = []
        self._app = app
        app._display = self._display  # type: ignore[method-assign]

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if isinstance(renderable, CompositorUpdate) and not self._app._batch_count:
            console = self._app.console
            self.plain.append(renderable.render_segments(console))
            self.diffed.append(self._app._buffer.render(renderable, console))


def _replayed(parts: list[str], width: int, height: int) -> pyte.Screen:
    screen = pyte.Screen(width, height)
    stream = pyte.Stream(screen)
    screen.reset_mode(pyte.modes.DECAWM)  # as Textual's driver does
    screen.set_mode(pyte.modes.LNM)
    for part in parts:
        stream.feed(part)
    return screen


def _same(one: pyte.Screen, two: pyte.Screen) -> None:
    for y in range(one.lines):
        for x in range(one.columns):
            left, right = one.buffer[y][x], two.buffer[y][x]
            assert left == right, f"({x}, {y}): {left} is not {right}\n{one.display[y]}"


async def test_the_same_screen_for_less(live: Any) -> None:
    app = app_on(live)
    seen = Recorder(app)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        begun = len("".join(seen.plain)), len("".join(seen.diffed))
        for beat in range(12):
            live.add_output(f"beat {beat} 数据 é\r\n".encode())
            live.add_steps(10)
            at = live.now_ns
            app._watcher._wake.set()
            await until(pilot, lambda at=at: app.snapshot and app.snapshot.moment.now_ns >= at)
            await pilot.pause()
        ended = len("".join(seen.plain)), len("".join(seen.diffed))
        for key in ("2", "down", "escape", "left", "end", "question_mark", "escape", "tab", "7"):
            await pilot.press(key)
            await pilot.pause()
        await pilot.resize_terminal(90, 30)
        await pilot.pause()
        seen.plain.append("\x1b[2J")
        seen.diffed.append("\x1b[2J")
        app._buffer.clear()
        app.refresh(layout=True)
        app.screen.refresh(layout=True)
        await pilot.pause()
    assert app._buffer.fallbacks == 0
    _same(_replayed(seen.plain, 120, 40), _replayed(seen.diffed, 120, 40))
    assert ended[1] - begun[1] < (ended[0] - begun[0]) / 2


class _Unknown(CompositorUpdate):
    def render_segments(self, console: Console) -> str:
        return "as it is"


def test_an_unknown_kind_of_update_is_written_as_it_is() -> None:
    buffer = FrontBuffer()
    update = _Lines(["abc"])
    assert "abc" in buffer.render(update, Console())
    assert buffer.render(_Unknown(), Console()) == "as it is"
    assert buffer.fallbacks == 1
    assert "abc" in buffer.render(update, Console()), "it forgot what it knew"


class _Region:
    x = 0
    y = 0


class _Lines:
    """An update of whole lines, as Textual's LayoutUpdate."""

    region = _Region()

    def __init__(self, lines: list[str], style: Style | None = None) -> None:
        self.strips = [[Strip([Segment(line, style)])] for line in lines]


def test_only_changed_cells_are_written() -> None:
    buffer = FrontBuffer()
    console = Console()
    buffer.render(_Lines(["step 1234 of 9999"]), console)
    assert buffer.render(_Lines(["step 1234 of 9999"]), console) == ""
    assert buffer.render(_Lines(["step 1235 of 9999"]), console) == "\x1b[1;9H5"
    buffer.clear()
    assert "step 1235 of 9999" in buffer.render(_Lines(["step 1235 of 9999"]), console)


def test_styles_are_written_when_they_change_and_end() -> None:
    buffer = FrontBuffer()
    written = buffer.render(_Lines(["ab"], Style(bold=True)), Console())
    assert written == "\x1b[1H\x1b[1mab\x1b[m"


def test_wide_characters_are_never_halved() -> None:
    def cells(text: str) -> list[Any]:
        from fwtop.tui.front_buffer import cells_of

        return cells_of([Segment(text)])

    for old, new in (("数据ab", "据数ab"), ("ab数", "数ab"), ("数x", "ayx"), ("数x", "数y")):
        for start, end in changed_runs(cells(old), cells(new)):
            assert cells(new)[start][0] != "", (old, new)
            assert end == len(cells(new)) or cells(new)[end][0] != "", (old, new)


def test_a_finished_recording_looks_the_same_in_a_real_terminal(finished: Path) -> None:
    from tests.tui.terminal import run_viewer

    plain = run_viewer(finished, ["2", "\x1b", "\x1b[D"], plain=True)
    diffed = run_viewer(finished, ["2", "\x1b", "\x1b[D"])
    _same(plain.screen, diffed.screen)
    assert diffed.count < plain.count
