"""The recorder's end of the shim: starting it, asking it, what it has left in the run folder."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fwtop.run_folder import RunFolder

SHIM = Path(__file__).resolve().parent.parent / "launch" / "shim.py"


@dataclass(frozen=True)
class ShimState:
    """shim.json."""

    pid: int
    script_pid: int
    started_monotonic_ns: int
    started_unix_ns: int


@dataclass(frozen=True)
class Exit:
    """exit.json: how the script ended."""

    exit_status: int | None
    exit_signal: int | None
    ended_monotonic_ns: int
    bytes_lost: int
    error: str | None
    failures: int = 0
    """Of the shim's own, after which it went on."""
    failure: str = ""
    """The last of them."""


def start(
    folder: RunFolder, environ: Mapping[str, str], stdio: tuple[int, int, int]
) -> subprocess.Popen[bytes]:
    """Start the shim in a session of its own. Raises OSError."""
    return subprocess.Popen(
        [sys.executable, "-S", "-E", "-s", str(SHIM), str(folder.path)],
        env=dict(environ),
        stdin=stdio[0],
        stdout=stdio[1],
        stderr=stdio[2],
        start_new_session=True,
    )


def read_state(folder: RunFolder) -> ShimState | None:
    """shim.json; None while there is none."""
    body = _read(folder.shim)
    try:
        return None if body is None else ShimState(**body)
    except TypeError:
        return None


def read_exit(folder: RunFolder) -> Exit | None:
    """exit.json; None while there is none."""
    body = _read(folder.exit)
    if body is None:
        return None
    return Exit(
        body.get("exit_status"),
        body.get("exit_signal"),
        int(body.get("ended_monotonic_ns", 0)),
        int(body.get("bytes_lost", 0)),
        body.get("error"),
        int(body.get("failures", 0)),
        str(body.get("failure", "")),
    )


def failure_told(line: bytes) -> str | None:
    """The first failure of the shim's own, where a line from it tells of one."""
    try:
        body = json.loads(line)
    except ValueError:
        return None
    said = body.get("failure") if isinstance(body, dict) else None
    return said if isinstance(said, str) else None


def script_alive(state: ShimState) -> bool:
    """Whether the script's process is there still, where no shim can say so."""
    if state.started_monotonic_ns > time.monotonic_ns():
        return False  # the machine was restarted since
    try:
        os.kill(state.script_pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{state.script_pid}/stat").read_bytes()
        return status.rpartition(b")")[2].split()[0] != b"Z"
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        body = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) else None
