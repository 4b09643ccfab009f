"""What the viewer asks of the recorder, on a stand-in for its control socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fwtop import control
from fwtop.tui.app import Left
from fwtop.tui.screens.dialogs import Choice, Prompt
from fwtop.tui.screens.overview import Overview
from fwtop.tui.widgets.log import Log
from tests import recordings
from tests.tui.conftest import app_on, loaded, screen_text, until


class FakeRecorder:
    """Answers on the control socket and keeps what it was asked."""

    def __init__(self, path: Path) -> None:
        self.requests: list[control.Request] = []
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                line = connection.makefile("rb").readline()
                if line:
                    self.requests.append(control.decode(line))
                    connection.sendall(b"{}\n")

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[FakeRecorder]:
    fake = FakeRecorder(tmp_path / "control.sock")
    yield fake
    fake.close()


def _kinds(recorder: FakeRecorder) -> list[control.Request]:
    """What the user asked for."""
    unasked = control.Ping, control.ResizeTerminal
    return [request for request in recorder.requests if not isinstance(request, unasked)]


def _sizes(recorder: FakeRecorder) -> list[control.Request]:
    return [one for one in recorder.requests if isinstance(one, control.ResizeTerminal)]


async def test_q_on_a_live_run_asks_and_detaches(live: recordings.Builder) -> None:
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("q")
        assert isinstance(app.screen, Choice)
        await pilot.press("escape")
        assert isinstance(app.screen, Overview)
        await pilot.press("q", "enter")
    assert not app.is_running
    assert app.left() == Left(ended=False)


async def test_ctrl_c_asks_and_a_second_one_sends_sigint(
    live: recordings.Builder, recorder: FakeRecorder
) -> None:
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("ctrl+c")
        assert isinstance(app.screen, Choice)
        assert not _kinds(recorder)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: _kinds(recorder) == [control.SendSignal(2)])
        await until(pilot, lambda: "Ctrl-C sent" in screen_text(app))
        assert app.is_running, "it stays, to show how the script ends"


async def test_the_recorder_is_asked_to_capture_to_mark_and_for_another_budget(
    live: recordings.Builder, recorder: FakeRecorder
) -> None:
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("c")
        await until(pilot, lambda: _kinds(recorder) == [control.CaptureWindow()])
        await pilot.press("m", *"lr", "enter")
        await until(pilot, lambda: _kinds(recorder)[1:] == [control.PlaceMark("lr")])
        await pilot.press("o", *"2%", "enter")
        await until(pilot, lambda: _kinds(recorder)[2:] == [control.SetOverhead(0.02)])
        await until(pilot, lambda: "overhead budget is 2.00 % now" in screen_text(app))


async def test_a_recorder_that_is_not_there_is_told_in_words(live: recordings.Builder) -> None:
    app = app_on(live)
    async with app.run_test(size=(160, 40)) as pilot:
        await loaded(pilot)
        await pilot.press("c")
        await until(pilot, lambda: "no recorder answers" in screen_text(app))


async def test_i_in_the_log_types_a_line_into_the_scripts_terminal(
    live: recordings.Builder, recorder: FakeRecorder
) -> None:
    live._db.execute("UPDATE run SET options = '{\"terminal\": true}'")
    live.commit()
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        app.screen.query_one(Log).focus()
        await until(pilot, lambda: " i input " in screen_text(app))
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press("y", "é", "escape")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press("y", "é", "enter")
        await until(pilot, lambda: _kinds(recorder))
        assert _kinds(recorder) == [control.SendInput.of("yé\n".encode())]
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, Prompt))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(app.screen, Choice))


async def test_a_script_without_a_terminal_is_not_typed_to(
    live: recordings.Builder, recorder: FakeRecorder
) -> None:
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        app.screen.query_one(Log).focus()
        await until(pilot, lambda: "f follow" in screen_text(app))
        assert " i input " not in screen_text(app)
        await pilot.press("i")
        await until(pilot, lambda: "no terminal to type into" in screen_text(app))
        assert _kinds(recorder) == []


async def test_the_scripts_terminal_gets_the_size_of_this_one(
    live: recordings.Builder, recorder: FakeRecorder
) -> None:
    live._db.execute("UPDATE run SET options = '{\"terminal\": true}'")
    live.commit()
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await until(pilot, lambda: _sizes(recorder) == [control.ResizeTerminal(40, 120)])
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: _sizes(recorder)[1:] == [control.ResizeTerminal(30, 100)])
        live.add_steps(5)
        await loaded(pilot)
    assert len(_sizes(recorder)) == 2


@pytest.mark.parametrize("options", ['{"terminal": true, "pass_through": true}', "{}"])
async def test_a_terminal_that_is_seen_elsewhere_keeps_its_size(
    live: recordings.Builder, recorder: FakeRecorder, options: str
) -> None:
    live._db.execute("UPDATE run SET options = ?", (options,))
    live.commit()
    app = app_on(live)
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot)
        await pilot.resize_terminal(100, 30)
        await loaded(pilot)
        await pilot.press("m", *"x", "enter")
        await until(pilot, lambda: _kinds(recorder))
    assert _sizes(recorder) == []
