"""What a viewer may ask of a live run's recorder, and the client that asks.

Owns the requests, their framing (one JSON object a line, answered by one) and the client's socket.
Must not import the recorder: views use this without it.
"""

from __future__ import annotations

import base64
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

MAX_REQUEST_BYTES = 1 << 16


@dataclass(frozen=True)
class Ping:
    """Is the recorder there? Answers with its pid and the run's state."""

    request: ClassVar[str] = "ping"


@dataclass(frozen=True)
class SendSignal:
    """Deliver a signal to the script's process group, as Ctrl-C (2) would."""

    request: ClassVar[str] = "signal"
    signal: int


@dataclass(frozen=True)
class CaptureWindow:
    """Open a trace window at the next step in every process of the run."""

    request: ClassVar[str] = "capture"
    deep: bool = True
    steps: int = 1


@dataclass(frozen=True)
class SetOverhead:
    """Change the share of the run time that watching may cost."""

    request: ClassVar[str] = "overhead"
    ratio: float


@dataclass(frozen=True)
class PlaceMark:
    """Put a mark on the time axis, now."""

    request: ClassVar[str] = "mark"
    name: str


@dataclass(frozen=True)
class Label:
    """Give the run another name (None: none) and other tags, instead of those it has."""

    request: ClassVar[str] = "label"
    name: str | None
    tags: tuple[str, ...]


@dataclass(frozen=True)
class SendInput:
    """Type bytes into the script's terminal."""

    request: ClassVar[str] = "input"
    data_base64: str

    @classmethod
    def of(cls, data: bytes) -> SendInput:
        """The request that carries `data`."""
        return cls(base64.b64encode(data).decode("ascii"))


@dataclass(frozen=True)
class ResizeTerminal:
    """Tell the script's terminal its new size, in character cells."""

    request: ClassVar[str] = "resize"
    rows: int
    columns: int


Request = (
    Ping | SendSignal | CaptureWindow | SetOverhead | PlaceMark | Label | SendInput | ResizeTerminal
)
REQUESTS: dict[str, type[Request]] = {
    kind.request: kind
    for kind in (
        Ping, SendSignal, CaptureWindow, SetOverhead, PlaceMark, Label, SendInput, ResizeTerminal
    )
}  # fmt: skip


class ControlError(Exception):
    """The recorder is not there, or refused; the text says which and why."""


def encode(request: Request) -> bytes:
    """One line, with its newline."""
    return msgspec.json.encode({"request": request.request, **asdict(request)}) + b"\n"


def decode(line: bytes) -> Request:
    """A request from a line; raises ControlError for anything else."""
    try:
        body: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        kind = REQUESTS[body.pop("request")]
        return msgspec.convert(body, kind)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise ControlError(f"not a request: {error}") from error


def ask(socket_path: Path, request: Request, timeout_s: float = 2.0) -> dict[str, Any]:
    """Send one request and return the answer's fields.

    Raises ControlError if nobody listens, the answer does not come in time, or it is a refusal.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(socket_path))
            connection.sendall(encode(request))
            line = connection.makefile("rb").readline(MAX_REQUEST_BYTES)
    except OSError as error:
        raise ControlError(f"no recorder answers on {socket_path}: {error}") from error
    try:
        answer: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ControlError(f"the recorder's answer is not JSON: {error}") from error
    if "error" in answer:
        raise ControlError(str(answer["error"]))
    return answer
