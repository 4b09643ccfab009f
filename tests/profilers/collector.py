"""A small stand-in for the recorder: it listens where a probe connects, and keeps what it is told.

For tests that run a real script in a real process. It waits for messages, never for time.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "profilers" / "fwtop_profilers" / "bootstrap"
WAIT_S = 60.0


@dataclass
class Peer:
    """One connection of a probe's."""

    socket: socket.socket
    messages: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False

    def send(self, kind: str, **body: Any) -> None:
        self.socket.sendall(json.dumps({"type": kind, "body": body}).encode() + b"\n")


class Collector:
    """`with Collector() as collector: run(collector, code)`."""

    def __init__(self, path: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fwtop-test-")
        self.folder = Path(self._folder.name)
        self.path = path or self.folder / "probe.sock"
        self.peers: list[Peer] = []
        self._changed = threading.Condition()
        self._listener: socket.socket | None = None

    def __enter__(self) -> Collector:
        self.listen()
        return self

    def __exit__(self, *error: object) -> None:
        self.die()
        self._folder.cleanup()

    def listen(self) -> None:
        """Start, or start again after `die`."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def die(self) -> None:
        """Go as a killed recorder does: every connection is cut, and the socket stays behind."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.path.unlink(missing_ok=True)
        for peer in self.peers:
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            peer.socket.close()

    def environment(self, **more: str) -> dict[str, str]:
        """What `fwtop` adds to the script's environment."""
        path = os.environ.get("PYTHONPATH", "")
        return {
            **os.environ,
            "PYTHONPATH": str(BOOTSTRAP) + (os.pathsep + path if path else ""),
            "FWTOP_SOCKET": str(self.path),
            "FWTOP_WINDOWS": str(self.folder),
            "FWTOP_RUN_ID": "test",
            "FWTOP_OVERHEAD": "0",
            **more,
        }

    def wait_for(self, condition: Callable[[], bool], what: str = "a message") -> None:
        """Wait until `condition` holds, looked at after each message."""
        with self._changed:
            if not self._changed.wait_for(condition, WAIT_S):
                raise AssertionError(f"waited {WAIT_S} s for {what}; got {self.kinds()}")

    def messages(self, kind: str, pid: int | None = None) -> list[dict[str, Any]]:
        """Bodies of one kind of message, in the order of connections and arrival."""
        with self._changed:
            return [
                message["body"]
                for peer in self.peers
                if pid is None or _pid(peer) == pid
                for message in peer.messages
                if message["type"] == kind
            ]

    def steps(self, pid: int | None = None) -> list[dict[str, Any]]:
        """Finished steps one by one: index, start_ns, duration_ns, flags, samples, phases."""
        rows = []
        for body in self.messages("Steps", pid):
            for at, start in enumerate(body["start_ns"]):
                row = {
                    "index": body["first_index"] + at,
                    "start_ns": start,
                    "duration_ns": body["duration_ns"][at],
                    "flags": body["flags"][at],
                    "samples": (body["samples"] or [None] * len(body["start_ns"]))[at],
                }
                row.update({phase: values[at] for phase, values in body["phases"].items()})
                rows.append(row)
        return rows

    def kinds(self) -> list[list[str]]:
        """Each connection's messages, by their types."""
        return [[message["type"] for message in peer.messages] for peer in self.peers]

    def finished(self) -> None:
        """Wait until every connection has ended."""
        self.wait_for(lambda: all(peer.ended for peer in self.peers), "the connections' end")

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            peer = Peer(accepted)
            with self._changed:
                self.peers.append(peer)
            threading.Thread(target=self._read, args=(peer,), daemon=True).start()

    def _read(self, peer: Peer) -> None:
        buffer = b""
        while True:
            try:
                data = peer.socket.recv(1 << 16)
            except OSError:
                data = b""
            *lines, buffer = (buffer + data).split(b"\n")
            with self._changed:
                peer.messages.extend(json.loads(line) for line in lines)
                peer.ended = not data
                self._changed.notify_all()
            if not data:
                return


def _pid(peer: Peer) -> int | None:
    first = peer.messages[0] if peer.messages else None
    return first["body"]["pid"] if first and first["type"] == "Hello" else None


def run(
    collector: Collector,
    argv: Sequence[str],
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Run Python under the collector to its end, then wait for the connections' ends."""
    result = subprocess.run(
        [python, *argv],
        env=dict(environ) if environ is not None else collector.environment(),
        cwd=cwd or collector.folder,
        capture_output=True,
        text=True,
        timeout=200,
    )
    collector.finished()
    return result
