"""The recorder's Unix sockets: probes on one, viewers on the other; one selector, no thread.

Owns connections, framing and the check of who connects; knows no message's meaning. A connection
that misbehaves is dropped, the others go on.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

READ_BYTES = 1 << 18
BACKLOG = 128
MAX_CONNECTIONS = 4096


@dataclass(eq=False)
class Connection:
    """One accepted peer, framed in lines."""

    socket: socket.socket
    on_line: Callable[[Connection, bytes], None]
    on_end: Callable[[Connection, str], None]
    """Called once, with why it ended: '' when the peer closed it in good order."""
    max_line: int
    buffer: bytearray = field(default_factory=bytearray)
    context: Any = None
    """Its owner's own."""

    def send(self, data: bytes) -> bool:
        """Whether all of it went out; a peer that does not read is not waited for."""
        try:
            return self.socket.send(data) == len(data)
        except OSError:
            return False


def bind(path: Path) -> socket.socket:
    """A Unix socket that takes connections at `path`, replacing one that was left there.

    Connections wait in its backlog until a `Server` listens. Raises OSError.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


class Server:
    """The listening sockets and what came of them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections: set[Connection] = set()
        self._listeners: list[socket.socket] = []
        woken, self._wake = socket.socketpair()
        for end in (woken, self._wake):
            end.setblocking(False)
        self._selector.register(woken, selectors.EVENT_READ, lambda: _drain(woken))

    def listen(
        self,
        listener: socket.socket,
        max_line: int,
        on_line: Callable[[Connection, bytes], None],
        on_end: Callable[[Connection, str], None],
    ) -> None:
        """Accept connections on a socket of `bind`."""

        def accept() -> None:
            with contextlib.suppress(OSError):
                peer, _ = listener.accept()
                if len(self._connections) < MAX_CONNECTIONS and _is_ours(peer):
                    self.adopt(Connection(peer, on_line, on_end, max_line))
                else:
                    peer.close()

        self._listeners.append(listener)
        self._selector.register(listener, selectors.EVENT_READ, accept)

    def adopt(self, connection: Connection) -> None:
        """Read a connected socket's lines too."""
        connection.socket.setblocking(False)
        self._connections.add(connection)
        self._selector.register(
            connection.socket, selectors.EVENT_READ, lambda: self._read(connection)
        )

    def poll(self, timeout_s: float) -> int:
        """Wait for something to happen, and handle it; the number of things that did."""
        events = self._selector.select(timeout_s)
        for key, _ in events:
            key.data()
        return len(events)

    def wake(self) -> None:
        """End a `poll` early; from any thread."""
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def drop(self, connection: Connection, why: str) -> None:
        """Close a connection, once."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()
        connection.on_end(connection, why)

    def connections(self, on_line: Callable[[Connection, bytes], None]) -> list[Connection]:
        """The connections whose lines go to `on_line`."""
        return [one for one in self._connections if one.on_line == on_line]

    def close(self) -> None:
        """Close everything."""
        for connection in list(self._connections):
            self.drop(connection, "")
        for listener in self._listeners:
            self._selector.unregister(listener)
            listener.close()
        self._listeners.clear()

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.drop(connection, str(error))
            return
        if not data:
            self.drop(connection, "")
            return
        buffer = connection.buffer
        buffer += data
        if b"\n" in data:
            *lines, rest = bytes(buffer).split(b"\n")
            buffer[:] = rest
            for line in lines:
                if len(line) <= connection.max_line:
                    connection.on_line(connection, line)
                else:
                    self.drop(connection, f"a line of {len(line)} bytes")
                if connection not in self._connections:
                    return
        if len(buffer) > connection.max_line:
            self.drop(connection, f"a line longer than {connection.max_line} bytes")


def _is_ours(peer: socket.socket) -> bool:
    """Whether the peer runs as us or as root. The folder's mode keeps others out already."""
    try:
        if sys.platform == "linux":
            size = struct.calcsize("3i")
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            _, uid, _ = struct.unpack("3i", credentials)
        else:  # LOCAL_PEERCRED of macOS and the BSDs: struct xucred begins with version and uid
            _, uid = struct.unpack("2I", peer.getsockopt(0, 1, 8))
    except (OSError, struct.error):
        return False
    return uid in (os.getuid(), 0)


def _drain(woken: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while woken.recv(4096):
            pass
