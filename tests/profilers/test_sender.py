"""The connection: absent, killed, slow and closed recorders, and the end of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fwtop_profilers import sender as sender_module
from fwtop_profilers import wire
from fwtop_profilers.sender import Sender
from tests.profilers.collector import Collector


def hello() -> wire.Hello:
    return wire.Hello(
        wire.WIRE_VERSION, f"{os.getpid()}-1", os.getpid(), 1, 0, 0, 0, "host", [], "", "3.11"
    )


def mark(at: int, name: str = "m") -> wire.Mark:
    return wire.Mark(at, name, None)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as found:
        yield found


def marks(collector: Collector) -> list[int]:
    return [body["at_ns"] for body in collector.messages("Mark")]


def test_hello_comes_first_and_goodbye_last(collector: Collector) -> None:
    sender = Sender(str(collector.path), hello)
    sender.send(mark(1))
    sender.start()
    sender.send(mark(2))
    sender.stop("exit")
    collector.wait_for(lambda: bool(collector.peers), "the sender's connection")
    collector.finished()
    kinds = collector.kinds()[0]
    assert (kinds[0], kinds[-1]) == ("Hello", "Goodbye")
    assert marks(collector) == [1, 2]


def test_silent_until_started(collector: Collector) -> None:
    sender = Sender(str(collector.path), hello)
    for at in range(1000):
        sender.send(mark(at))
    sender.stop("exit")
    assert collector.peers == []


def test_what_is_queued_while_the_recorder_is_away_arrives(collector: Collector) -> None:
    sender = Sender(str(collector.path), hello)
    framework = wire.Framework("torch", "2", {})
    sender.send(framework)
    sender.start()
    collector.wait_for(lambda: bool(collector.messages("Framework")))
    collector.die()
    for at in range(50):
        sender.send(mark(at))
    collector.listen()
    collector.wait_for(lambda: len(marks(collector)) >= 50)
    sender.stop("exit")
    assert collector.kinds()[1][:2] == ["Hello", "Framework"]
    assert marks(collector) == list(range(50))
    hellos = collector.messages("Hello")
    assert len({body["process_key"] for body in hellos}) == 1


def window(path: Path) -> wire.Window:
    return wire.Window(
        "1-1", str(path), "xplane", False, 0, 1, 0, 0, 0, 0, 0, 0, 0, None, "session", 1
    )


def test_windows_whose_files_a_dead_recorder_has_left_are_told_to_the_next(
    collector: Collector, tmp_path: Path
) -> None:
    """Read, begun or on the way when it died: what lies in the folder is told once to whom comes,
    and what is gone is not."""
    sender = Sender(str(collector.path), hello)
    sender.start()
    paths = [tmp_path / name for name in ("done", "left", "later")]
    for path in paths:
        path.touch()
    for path in paths[:2]:
        sender.send(window(path))
    collector.wait_for(lambda: len(collector.messages("Window")) == 2)
    paths[0].unlink()
    collector.die()
    sender.send(window(paths[2]))
    for times in (1, 2):
        collector.listen()
        collector.wait_for(lambda times=times: len(collector.messages("Window")) == 2 + 2 * times)
        collector.die()
    sender.stop("exit")
    told = [body["path"] for body in collector.messages("Window")]
    assert told == [str(paths[at]) for at in (0, 1, 1, 2, 1, 2)]


def test_a_recorder_that_comes_late(collector: Collector) -> None:
    collector.die()
    sender = Sender(str(collector.path), hello)
    sender.start()
    sender.send(mark(1))
    collector.listen()
    collector.wait_for(lambda: marks(collector) == [1])
    sender.stop("exit")


def test_others_that_wait_for_pythons_lock_get_it_before_the_end(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "LAST_YIELD_S", 2.0)
    sender = Sender(str(collector.path), hello)
    sender.start()
    late = threading.Event()

    def comes_late() -> None:
        while not collector.messages("Goodbye"):
            time.sleep(0.01)
        late.set()

    threading.Thread(target=comes_late).start()
    sender.stop("exit")
    assert late.is_set()


def test_no_recorder_does_not_hold_up_the_end(tmp_path: Path) -> None:
    sender = Sender(str(tmp_path / "none.sock"), hello)
    sender.start()
    sender.send(mark(1))
    begin = time.monotonic()
    sender.stop("exit")
    assert time.monotonic() - begin < sender_module.FLUSH_S


def test_a_recorder_that_does_not_read_holds_up_the_end_for_a_second_at_most(
    tmp_path: Path,
) -> None:
    import socket

    path = str(tmp_path / "deaf.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    sender = Sender(path, hello)
    sender.start()
    for at in range(10_000):
        sender.send(mark(at, "x" * 200))
    begin = time.monotonic()
    sender.stop("exit")
    assert time.monotonic() - begin < sender_module.FLUSH_S + 1.0
    listener.close()


def test_drops_over_the_bound_are_counted(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "MAX_QUEUED", 10)
    sender = Sender(str(collector.path), hello)
    collector.die()
    sender.start()
    for at in range(100):
        sender.send(mark(at))
    collector.listen()
    collector.wait_for(lambda: bool(collector.messages("Losses")))
    sender.stop("exit")
    assert marks(collector) == list(range(10))
    assert collector.messages("Losses")[-1]["messages_dropped"] == 90


def test_what_json_cannot_hold_and_what_is_too_long_is_dropped(collector: Collector) -> None:
    sender = Sender(str(collector.path), hello)
    sender.start()
    sender.send(wire.Framework("torch", "2", {"x": object()}))  # type: ignore[dict-item]
    sender.send(mark(1, "x" * (wire.MAX_LINE_BYTES + 1)))
    sender.send(mark(2))
    sender.stop("exit")
    collector.finished()
    assert marks(collector) == [2]
    losses = collector.messages("Losses")[-1]
    assert losses["messages_dropped"] == 2
    assert losses["bytes_dropped"] > wire.MAX_LINE_BYTES


def test_the_recorders_messages_reach_the_probe(collector: Collector) -> None:
    received: list[Any] = []
    arrived = threading.Event()

    def receive(message: Any) -> None:
        received.append(message)
        if len(received) == 2:
            arrived.set()

    sender = Sender(str(collector.path), hello, receive)
    sender.start()
    collector.wait_for(lambda: bool(collector.messages("Hello")))
    collector.peers[0].socket.sendall(b"nonsense\n")
    collector.peers[0].send("Capture", deep=True, steps=3)
    collector.peers[0].send("SetBudget", ratio=0.5)
    assert arrived.wait(30)
    sender.stop("exit")
    assert received == [wire.Capture(True, 3), wire.SetBudget(0.5)]


def test_a_source_that_raises_does_not_end_the_thread(collector: Collector) -> None:
    sender = Sender(str(collector.path), hello)

    def broken() -> list[Any]:
        raise ValueError

    sender.sources.append(broken)
    sender.start()
    sender.send(mark(1))
    collector.wait_for(lambda: marks(collector) == [1])
    sender.stop("exit")


def test_a_descriptor_that_the_script_closed_is_not_written_to(
    collector: Collector, tmp_path: Path
) -> None:
    sender = Sender(str(collector.path), hello)
    sender.start()
    collector.wait_for(lambda: bool(collector.messages("Hello")))
    link = sender._socket
    assert link is not None
    number = link.fileno()
    file = os.open(tmp_path / "own.txt", os.O_CREAT | os.O_RDWR)
    os.dup2(file, number)  # what os.closerange and the next open() amount to
    sender.send(mark(1))
    collector.wait_for(lambda: marks(collector) == [1])  # over a new connection
    sender.stop("exit")
    assert (tmp_path / "own.txt").read_bytes() == b""
    os.fstat(number)  # and it has not been closed under the script
    os.close(number)
    os.close(file)


def test_a_forked_child_leaves_the_parents_connection_alone(collector: Collector) -> None:
    sender = Sender(str(collector.path), hello)
    sender.start()
    collector.wait_for(lambda: bool(collector.messages("Hello")))
    child = os.fork()
    if child == 0:
        sender.reset()
        sender.send(mark(99))
        os._exit(0)
    os.waitpid(child, 0)
    sender.send(mark(1))
    sender.stop("exit")
    collector.finished()
    assert marks(collector) == [1]
    assert len(collector.peers) == 1


def test_kill_leaves_what_was_sent(collector: Collector) -> None:
    code = """
import sys, threading
from fwtop_profilers import wire
from fwtop_profilers.sender import Sender
import os
s = Sender(sys.argv[1], lambda: wire.Hello(1, "k", os.getpid(), 1, 0, 0, 0, "h", [], "", "3"))
s.start()
s.send(wire.Mark(1, "m", None))
threading.Event().wait()
"""
    root = Path(sender_module.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(collector.path)],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    collector.wait_for(lambda: marks(collector) == [1])
    process.send_signal(signal.SIGKILL)
    process.wait()
    collector.finished()
    assert collector.kinds() == [["Hello", "Mark"]]
