"""From the script to the recorder: a bounded queue and one thread.

Owns the connection. `send` only appends to a deque; encoding and writing happen on the thread,
which wakes twice a second, or ten times while there is news, so messages leave in batches. A
recorder that is absent, slow or gone costs the script nothing: what does not fit is dropped and
counted (`wire.Losses`), and on reconnection the process introduces itself again, with its latest
state.

There is no lock, so none can be held over a fork: a deque's ends are atomic, and the rest belongs
to the thread. `select.poll` and a socket are all the file descriptors it has; it checks that its
descriptor is still its own, for a script may close what it does not know.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from itertools import islice
from typing import Any, Callable, Deque, Dict, Iterable, List, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns
from fwtop_profilers.wire import MAX_LINE_BYTES, encode

try:
    from fcntl import ioctl
except ImportError:  # not on this system: what the recorder has read stays unknown
    ioctl = None  # type: ignore[assignment]

TICK_S = 0.5
"""As often as the recorder writes. A round finds nothing of its own in the caches, which takes it
300 to 500 µs before it comes to the first step."""
BRISK_TICK_S = 0.1
"""After a round that had more to send than steps: windows and compiles come in crowds."""
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 5.0
FLUSH_S = 1.0
"""How long the script's end may wait for a recorder that does not read."""
LAST_YIELD_S = 0.02
"""Python is torn down right after the end, and a C++ thread that asks for its lock from then on
aborts the process, as PyTorch's Gloo threads do where they are late to free what was gathered
last. Our thread took the lock before them: on a busy machine 10 of 158 runs of two ranks aborted,
without fwtop 3 of 165, and with this none of 69."""
MAX_QUEUED = 20_000
MAX_QUEUED_SILENT = 500
"""The bound while the process has not introduced itself, and perhaps never will."""
MAX_OUTBOX_BYTES = 4 << 20
MAX_BATCH = 64
MAX_RECEIVED = 1 << 16
LOSSES_EVERY_NS = 1_000_000_000
STATES = (wire.Framework, wire.StepSource, wire.Governor, wire.Rank)
"""Sent again on reconnection, the latest of each."""
REPEATABLE = (wire.Steps, wire.DeviceSteps, wire.CompileEvent, wire.Memory)
"""Sent again if the recorder died before it read them; a second copy replaces the first."""
_TIOCOUTQ = 0x5411
_HAS_OUTQ = sys.platform == "linux"


class Sender:
    """The one connection of a process to its recorder."""

    def __init__(
        self,
        socket_path: str,
        hello: Callable[[], wire.Hello],
        on_message: Callable[[Any], None] = lambda message: None,
    ) -> None:
        self.sources: List[Callable[[], Iterable[Any]]] = []
        """Asked for messages at each tick while connected, on the thread."""
        self.finishers: List[Callable[[], None]] = []
        """Called once, at the process's end, before the last messages are collected."""
        self.on_failure: Callable[[str, BaseException], None] = lambda what, error: None
        """Told when a source, a finisher or a timer raised; a timer is off then."""
        self._every: List[List[Any]] = []
        self._path = socket_path
        self._hello = hello
        self._on_message = on_message
        self.reset()

    def reset(self) -> None:
        """Forget queue and connection, as in a forked child, without a word to the recorder."""
        link = getattr(self, "_socket", None)
        if link is not None:
            self._drop_descriptor(link)
        self._queue: Deque[Any] = deque()
        self._outbox: Deque[Tuple[bytes, bool]] = deque()
        self._outbox_bytes = 0
        self._sent_of_first = 0
        self._unread: List[bytes] = []
        self._unread_bytes = 0
        self._windows: Dict[str, bytes] = {}
        self._state: Dict[Tuple[str, str], Any] = {}
        self._socket: Optional[socket.socket] = None
        self._inode = 0
        self._received = b""
        self.cpu_ns = 0
        """What the thread has taken."""
        self._has_news = False
        self._started = False
        self._stopping = False
        self._stopped = False
        self._reason = ""
        self._deadline_ns = 0
        self._wake = threading.Event()
        self._ended = _thread.allocate_lock()
        self._messages_dropped = 0
        self._bytes_dropped = 0
        self._losses_told = (0, 0)
        self._losses_at = 0

    # --- on any thread ---------------------------------------------------------------------------

    def send(self, message: Any) -> None:
        """Queue a message. Never blocks, never raises; over the bound it is dropped and counted."""
        if len(self._queue) < (MAX_QUEUED if self._started else MAX_QUEUED_SILENT):
            self._queue.append(message)
        else:
            self._messages_dropped += 1

    def every(self, seconds: float, task: Callable[[], None]) -> None:
        """Call `task` on the thread about each `seconds`; what it raises switches it off."""
        self._every.append([int(seconds * 1e9), 0, task])

    def latest(self, kind: type) -> List[Any]:
        """The latest states of a kind that went out or wait to."""
        states = {key: value for key, value in self._state.items() if isinstance(value, kind)}
        for message in self._queue.copy():
            if isinstance(message, kind):
                states[kind.__name__, getattr(message, "name", "")] = message
        return list(states.values())

    @property
    def started(self) -> bool:
        """Whether this process has introduced itself, or is trying to."""
        return self._started

    def start(self) -> None:
        """Connect, from now on. Without this the process stays silent."""
        if self._started or self._stopped:
            return
        self._started = True
        self._ended.acquire(False)
        _thread.start_new_thread(self._run, ())

    def stop(self, reason: str) -> None:
        """Say Goodbye and flush, for at most a second, and leave Python's lock to others for a
        moment; at once if there is nobody to tell."""
        if not self._started or self._stopped:
            return
        self._stopped = True
        for finish in self.finishers:
            self._runs("finisher", finish)
        self._reason = reason
        self._deadline_ns = now_ns() + int(FLUSH_S * 1e9)
        self._stopping = True
        self._wake.set()
        link = self._socket
        if link is not None:
            try:
                link.shutdown(socket.SHUT_RD)  # wakes the thread's poll
            except OSError:
                pass
        self._ended.acquire(True, FLUSH_S + 0.1)
        time.sleep(LAST_YIELD_S)

    # --- on the sender's thread ------------------------------------------------------------------

    def _run(self) -> None:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            backoff = FIRST_BACKOFF_S
            while True:
                if self._socket is None and not self._connect():
                    if self._stopping:
                        return
                    self._wake.wait(backoff)
                    backoff = min(LAST_BACKOFF_S, backoff * 2)
                    continue
                backoff = FIRST_BACKOFF_S
                if not self._tick():
                    return
        except Exception:  # nobody is left to tell; the script goes on without us
            self._started = False
        finally:
            self._ended.release()

    def _tick(self) -> bool:
        """One round; False when the last message is out, or the time for it is up."""
        self.cpu_ns = time.thread_time_ns()
        stopping = self._stopping  # before collecting: what was queued earlier must go out
        self._collect(stopping)
        if self._socket is not None and self._outbox:
            self._write()
        if stopping:
            if not self._outbox or self._socket is None or now_ns() > self._deadline_ns:
                self._close()
                return False
        self._wait()
        return True

    def _wait(self) -> None:
        link = self._socket
        if link is None:
            return
        poll = select.poll()
        events = 0 if self._stopping else select.POLLIN
        poll.register(link, events | (select.POLLOUT if self._outbox else 0))
        ready = poll.poll(1000 * (BRISK_TICK_S if self._has_news else TICK_S))
        if any(mask & (select.POLLIN | select.POLLHUP | select.POLLERR) for _, mask in ready):
            if not self._stopping:
                self._read()
            elif any(mask & (select.POLLHUP | select.POLLERR) for _, mask in ready):
                self._lost()

    def _connect(self) -> bool:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(0.5)
            link.connect(self._path)
            link.setblocking(False)
            self._inode = os.fstat(link.fileno()).st_ino
        except OSError:
            link.close()
            return False
        self._socket = link
        self._received = b""
        self._sent_of_first = 0
        waiting, self._outbox, self._outbox_bytes = self._outbox, deque(), 0
        repeated, self._unread, self._unread_bytes = self._unread, [], 0
        self._put(self._hello())
        for state in self._state.values():
            self._put(state)
        for line in repeated:
            self._put_line(line, True)
        for line in self._untold_windows(waiting):
            self._put_line(line, False)
        for line, repeatable in waiting:
            self._put_line(line, repeatable)
        return True

    def _untold_windows(self, waiting: Iterable[Tuple[bytes, bool]]) -> List[bytes]:
        """Windows that the last recorder was told of and whose files it left: it died over them.

        Unless another one is told, they lie in the folder for good, and no further window fits.
        """
        coming = {line for line, _ in waiting}
        return [
            line
            for path, line in self._windows.items()
            if line not in coming and os.path.exists(path)
        ]

    def _collect(self, stopping: bool) -> None:
        """Turn what is queued into lines, as far as the outbox has room."""
        now = now_ns()
        for timer in self._every:
            if now >= timer[1] and timer[0] and not stopping:
                timer[1] = now + timer[0]
                if not self._runs("timer", timer[2]):
                    timer[0] = 0
        queue = self._queue
        self._has_news = bool(queue)
        while queue and self._outbox_bytes <= MAX_OUTBOX_BYTES:
            self._put(queue.popleft())
        for source in list(self.sources):
            if self._outbox_bytes > MAX_OUTBOX_BYTES:
                break
            try:
                for message in source():
                    self._put(message)
            except Exception as error:
                self._messages_dropped += 1
                self.on_failure("source", error)
        losses = (self._messages_dropped, self._bytes_dropped)
        if losses != self._losses_told and (now >= self._losses_at or stopping):
            self._losses_told, self._losses_at = losses, now + LOSSES_EVERY_NS
            self._put(wire.Losses(*losses))
        if stopping and self._reason and not queue:
            self._put(wire.Goodbye(now, self._reason))
            self._reason = ""

    def _put(self, message: Any) -> None:
        if isinstance(message, STATES):
            self._state[type(message).__name__, getattr(message, "name", "")] = message
        try:
            line = encode(message)
        except (TypeError, ValueError):
            self._messages_dropped += 1
            return
        if len(line) > MAX_LINE_BYTES:
            self._messages_dropped += 1
            self._bytes_dropped += len(line)
            return
        if isinstance(message, wire.Window):
            left = [item for item in self._windows.items() if os.path.exists(item[0])]
            self._windows = dict(left, **{message.path: line})
        self._put_line(line, isinstance(message, REPEATABLE))

    def _put_line(self, line: bytes, repeatable: bool) -> None:
        self._outbox.append((line, repeatable))
        self._outbox_bytes += len(line)

    def _write(self) -> None:
        link = self._socket
        if link is None or not self._is_ours(link):
            return self._lost()
        if _unread_bytes(link) == 0:
            self._unread, self._unread_bytes = [], 0  # the recorder has read all of it
        outbox = self._outbox
        try:
            while outbox:
                batch = [line for line, _ in islice(outbox, MAX_BATCH)]
                batch[0] = batch[0][self._sent_of_first :]
                self._sent(link.sendmsg(batch))  # at once: a script may end between two sends
                if self._sent_of_first:
                    return None
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            self._lost()
        return None

    def _sent(self, count: int) -> None:
        """The socket took `count` bytes more."""
        count += self._sent_of_first
        outbox = self._outbox
        while outbox and count >= len(outbox[0][0]):
            line, repeatable = outbox.popleft()
            count -= len(line)
            self._outbox_bytes -= len(line)
            if repeatable and self._unread_bytes < MAX_OUTBOX_BYTES:
                self._unread.append(line)
                self._unread_bytes += len(line)
        self._sent_of_first = count

    def _read(self) -> None:
        link = self._socket
        if link is None or not self._is_ours(link):
            return self._lost()
        try:
            data = link.recv(1 << 14)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        if not data:
            return None if self._stopping else self._lost()
        *lines, self._received = (self._received + data).split(b"\n")
        if len(self._received) > MAX_RECEIVED:
            self._received = b""
        for line in lines:
            try:
                self._on_message(wire.decode_to_probe(line))
            except Exception as error:
                self._messages_dropped += 1
                self.on_failure("message", error)
        return None

    def _runs(self, what: str, task: Callable[[], None]) -> bool:
        """Run what is others'; what it raises is told of, and whether it did."""
        try:
            task()
        except Exception as error:
            self.on_failure(what, error)
            return False
        return True

    # --- the descriptor --------------------------------------------------------------------------

    def _is_ours(self, link: socket.socket) -> bool:
        try:
            return os.fstat(link.fileno()).st_ino == self._inode
        except OSError:
            return False

    def _drop_descriptor(self, link: socket.socket) -> None:
        try:
            if self._is_ours(link):
                link.close()
            else:
                link.detach()  # the script closed it; the number may be a file of its own by now
        except OSError:
            pass

    def _lost(self) -> None:
        self._close()

    def _close(self) -> None:
        link, self._socket = self._socket, None
        if link is not None:
            self._drop_descriptor(link)


def _unread_bytes(link: socket.socket) -> Optional[int]:
    """Bytes in the socket that the recorder has not read; None where that cannot be asked."""
    if ioctl is None or not _HAS_OUTQ:
        return None
    try:
        return int.from_bytes(ioctl(link.fileno(), _TIOCOUTQ, b"\0\0\0\0"), "little")
    except OSError:
        return None
