"""The shim: a very small process that holds the script, its terminal and its output.

Owns the script's pty or pipes, the output segments, shim.json and exit.json in the run folder. It
outlives the recorder and the viewer, so that neither's death closes the script's terminal. Run by
path, `python -S -E -s shim.py RUN_FOLDER`: standard library only and few imports.

The shim leads the session and the script is the terminal's foreground group, as under a shell: if
the script led the session, its end would hang the terminal up and kill what it left in the
background. Whatever still holds the terminal after the script's end keeps it: the shim goes on
draining (and copying) until everybody has let go, long after exit.json is there.
"""

# ruff: noqa: PTH100, PTH108, PTH110
# pathlib would cost more to import than all the rest.

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import termios
import time

if __name__ == "__main__":
    # The script's own folder comes first on sys.path, and holds modules named like others.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from fwtop.launch.shim_files import reserve, write_json
from fwtop.launch.shim_output import SIZE, Copy, Spool
from fwtop.launch.shim_script import copy_habits, execute, let_go_of_stdin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READ_BYTES = 1 << 16
INPUT_PENDING_BYTES = 1 << 20
REQUEST_BYTES = 1 << 17
GRACE_NS = 300_000_000
"""After the script's end, for output that is still in the pipe when others hold it open."""
MAX_FAILURES = 100
"""Failures of our own after which there is no sense in going on."""
MAX_WORDS = 300


class Shim:
    """One script from its start to its end."""

    def __init__(self, folder: str, spec: dict[str, Any]) -> None:
        self.folder = folder
        self.spec = spec
        self.spool = Spool(folder)
        self.copies: dict[int, Copy] = {}
        self.sources: dict[int, int] = {}
        """Descriptor: stream."""
        self.master: int | None = None
        self.slave: int | None = None
        self.input = bytearray()
        self.clients: dict[int, tuple[socket.socket, bytearray]] = {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.woken = -1
        self.script_pid = 0
        self.error = ""
        self.failures = 0
        self.failure = ""
        """The last of them, in words."""
        self.exit: dict[str, Any] | None = None
        self.finished = False

    # --- start --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the script; shim.json is there afterwards, also if it cannot be executed."""
        if self.spec["pass_through"]:
            self.copies = {1: Copy(1), 2: Copy(2)}
        targets, pipes = self._targets()
        path = os.path.join(self.folder, "shim.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.listener.bind(path)
        self.listener.listen(8)
        self.listener.setblocking(False)
        reserve(os.path.join(self.folder, "exit.tmp"))
        inherited = {n: signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
        self._catch()
        started = time.monotonic_ns(), time.time_ns()
        failure_read, failure_write = os.pipe()
        self.script_pid = os.fork()
        if self.script_pid == 0:
            execute(self.spec["argv"], targets, self.slave, failure_write, inherited)
        os.close(failure_write)
        for descriptor in pipes:
            os.close(descriptor)
        self.error = os.read(failure_read, 4096).decode("utf-8", "replace")
        os.close(failure_read)
        write_json(
            os.path.join(self.folder, "shim.json"),
            {
                "pid": os.getpid(),
                "script_pid": self.script_pid,
                "started_monotonic_ns": started[0],
                "started_unix_ns": started[1],
            },
        )
        let_go_of_stdin()

    def _targets(self) -> tuple[list[int], list[int]]:
        """What become the script's descriptors 0, 1 and 2; those of them that are pipes of ours."""
        pass_through = self.spec["pass_through"]
        on_pty = [self.spec["terminal"] and (not pass_through or os.isatty(n)) for n in range(3)]
        targets, pipes = [0, 1, 2], []
        if any(on_pty):
            self.master, self.slave = os.openpty()
            if os.isatty(0):
                copy_habits(0, self.slave)
            self.resize(self.spec["rows"], self.spec["columns"])
            os.set_blocking(self.master, False)
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            self.sources[self.master] = 1 if on_pty[1] or not on_pty[2] else 2
        for number in range(3):
            if on_pty[number] and self.slave is not None:
                targets[number] = self.slave
            elif number > 0:
                read, targets[number] = os.pipe()
                os.set_blocking(read, False)
                self.sources[read] = number
                pipes.append(targets[number])
        return targets, pipes

    def _catch(self) -> None:
        self.woken, wake = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda number, _: self.signal(number, group=False))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTTOU, signal.SIGTTIN):
            signal.signal(number, signal.SIG_IGN)

    # --- requests -----------------------------------------------------------------------------

    def signal(self, number: int, group: bool = True) -> None:
        """Send it to the script's process group, or to its first process alone."""
        if self.exit is None and self.script_pid > 0:
            try:
                (os.killpg if group else os.kill)(self.script_pid, number)
            except OSError:
                pass

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; the kernel tells the script, and the segments tell readers."""
        if self.slave is None:
            return
        size = struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0)
        if not self.script_pid:  # launch.json tells the first one
            fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        elif fcntl.ioctl(self.slave, termios.TIOCGWINSZ, bytes(8))[:4] != size[:4]:
            if self.master in self.sources:
                self.read(self.master)  # written for the size before
            fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
            self.spool.add(SIZE, b"%d %d\n" % (rows & 0xFFFF, columns & 0xFFFF))

    def request(self, line: bytes) -> None:
        """Do what one line asks; raises anything for a line that is no request."""
        body = json.loads(line)
        if "signal" in body:
            self.signal(int(body["signal"]), body.get("group", True))
        elif "input" in body and self.slave is not None and len(self.input) < INPUT_PENDING_BYTES:
            self.input += base64.b64decode(body["input"])
        elif "resize" in body:
            self.resize(int(body["resize"][0]), int(body["resize"][1]))

    def serve(self, descriptor: int) -> None:
        """Read a client's requests."""
        client, buffer = self.clients[descriptor]
        try:
            data = client.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        buffer += data
        while b"\n" in buffer:
            line, _, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            try:
                self.request(line)
            except Exception:  # whatever a client sends, the script is not concerned
                pass
        if not data or len(buffer) > REQUEST_BYTES:
            del self.clients[descriptor]
            client.close()

    def accept(self) -> None:
        """Take a client in; the folder's mode keeps others out."""
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        client.setblocking(False)
        self.clients[client.fileno()] = (client, bytearray())

    # --- the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Until the script has ended and nobody holds its terminal or pipes any more."""
        ended_ns: int | None = None if self.exit is None else self.exit["ended_monotonic_ns"]
        while self.sources or self.exit is None:
            readable, writable = self._poll(None if ended_ns is None or self.finished else 50)
            if self.woken in readable:
                drain(self.woken)
            for descriptor in readable:
                if descriptor in self.sources:
                    self.read(descriptor)
                elif not self.finished and descriptor == self.listener.fileno():
                    self.accept()
                elif descriptor in self.clients:
                    self.serve(descriptor)
            for copy in self.copies.values():
                if copy.descriptor in writable:
                    copy.flush()
            if self.master in writable:
                self.type()
            if self.exit is None and self.reap():
                ended_ns = time.monotonic_ns()
            elif ended_ns is not None and not self.finished:
                late = time.monotonic_ns() - ended_ns > GRACE_NS
                if late and not any(copy.full for copy in self.copies.values()):
                    self.finish()
        self._copy_rest()
        if not self.finished:
            self.finish()

    def _poll(self, timeout_ms: int | None) -> tuple[set[int], set[int]]:
        poll = select.poll()
        poll.register(self.woken, select.POLLIN)
        waiting = any(copy.full for copy in self.copies.values())
        for descriptor in self.sources:
            events = 0 if waiting else select.POLLIN
            if descriptor == self.master and self.input:
                events |= select.POLLOUT
            if events:
                poll.register(descriptor, events)
        for copy in self.copies.values():
            if copy.pending and copy.descriptor is not None:
                poll.register(copy.descriptor, select.POLLOUT)
        if not self.finished:
            poll.register(self.listener, select.POLLIN)
            for descriptor in self.clients:
                poll.register(descriptor, select.POLLIN)
        readable: set[int] = set()
        writable: set[int] = set()
        for descriptor, events in poll.poll(timeout_ms):
            if events & ~select.POLLOUT:
                readable.add(descriptor)
            if events & ~select.POLLIN:
                writable.add(descriptor)
        return readable, writable

    def read(self, descriptor: int) -> None:
        """Take output in."""
        stream = self.sources[descriptor]
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            del self.sources[descriptor]
            os.close(descriptor)
            if descriptor == self.master:
                self.master = None
            return
        if not self.finished:
            self.spool.add(stream, data)
        if stream in self.copies:
            self.copies[stream].add(data)

    def type(self) -> None:
        """Give the terminal what was typed."""
        if self.master is None:
            return
        try:
            del self.input[: os.write(self.master, self.input[:READ_BYTES])]
        except BlockingIOError:
            pass
        except OSError:
            self.input.clear()

    def reap(self) -> bool:
        """Note the script's end, once. Its terminal closes when the last one lets go of it."""
        pid, status = os.waitpid(self.script_pid, os.WNOHANG)
        if pid == 0:
            return False
        code = os.waitstatus_to_exitcode(status)
        self.exit = {
            "exit_status": code if code >= 0 else None,
            "exit_signal": -code if code < 0 else None,
            "ended_monotonic_ns": time.monotonic_ns(),
        }
        if self.slave is not None:
            os.close(self.slave)
            self.slave = None
        return True

    def finish(self) -> None:
        """All output is in the segments: say how it ended, and leave the run folder alone."""
        self.finished = True
        body = {**(self.exit or {}), "bytes_lost": self.spool.bytes_lost}
        if self.error:
            body["error"] = self.error
        if self.failures:
            body["failures"], body["failure"] = self.failures, self.failure
        if self.spool.file is not None:
            os.close(self.spool.file)
        try:
            write_json(os.path.join(self.folder, "exit.json"), body, "exit.tmp")
        except OSError:
            pass
        self.listener.close()
        for client, _ in self.clients.values():
            client.close()
        self.clients.clear()

    def failed(self, error: Exception) -> None:
        """Count a failure of our own, and tell whoever is connected of the first."""
        self.failures += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        code = "?" if trace is None else trace.tb_frame.f_code.co_name
        line = 0 if trace is None else trace.tb_lineno
        self.failure = f"{type(error).__name__}: {error} ({code}, line {line})"[:MAX_WORDS]
        if self.failures == 1:
            said = json.dumps({"failure": self.failure}).encode("ascii") + b"\n"
            for client, _ in self.clients.values():
                try:
                    client.send(said)
                except OSError:
                    pass

    def _copy_rest(self) -> None:
        """A pipe gets all of it; a terminal gets half a second to take the rest."""
        deadline = time.monotonic() + 0.5
        for copy in self.copies.values():
            while (
                copy.pending
                and copy.descriptor is not None
                and (not copy.terminal or time.monotonic() < deadline)
            ):
                poll = select.poll()
                poll.register(copy.descriptor, select.POLLOUT)
                if poll.poll(100):
                    copy.flush()


def drain(descriptor: int) -> None:
    """Empty a pipe."""
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        pass


def main() -> None:
    """Hold the script of one run folder."""
    folder = sys.argv[1]
    with open(os.path.join(folder, "launch.json"), "rb") as file:
        spec = json.load(file)
    shim = Shim(folder, spec)
    try:
        shim.start()
    except Exception as error:
        end = {
            "exit_status": 126,
            "exit_signal": None,
            "ended_monotonic_ns": time.monotonic_ns(),
            "error": f"the shim cannot start: {error}",
        }
        write_json(os.path.join(folder, "exit.json"), end)
        raise
    while shim.failures < MAX_FAILURES:
        try:
            return shim.run()
        except Exception as error:  # may cost output; may not hang up the script's terminal
            shim.failed(error)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
