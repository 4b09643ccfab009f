"""Who of a run is alive: asked on its sockets, and read from the pids in its folder."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from fwtop import control
from fwtop.run_folder import RunFolder


def has_recorder(folder: RunFolder) -> bool:
    """Whether a recorder answers."""
    try:
        control.ask(folder.control_socket, control.Ping())
    except control.ControlError:
        return False
    return True


def has_shim(folder: RunFolder) -> bool:
    """Whether the script is held, which it is as long as it runs."""
    shim = folder.connect_shim()
    if shim is None:
        return False
    shim.close()
    return True


def state_of(recorded: str, folder: RunFolder | None) -> str:
    """What became of a run whose recording does not end: as recorded, `unwatched`, or `lost`."""
    if folder is None:
        return "lost"
    if recorder_lives(folder):
        return recorded
    return "unwatched" if script_lives(folder) else "lost"


def recorder_lives(folder: RunFolder) -> bool:
    """Whether the recorder's process is there. A pid may have been reused."""
    return _alive(folder.recorder, "pid")


def script_lives(folder: RunFolder) -> bool:
    """Whether the script's process is there. A pid may have been reused."""
    return _alive(folder.shim, "script_pid")


def any_alive(folder: RunFolder) -> bool:
    """Whether anything of the run may be alive; a doubt counts as yes."""
    return (
        recorder_lives(folder) or script_lives(folder) or has_shim(folder) or has_recorder(folder)
    )


def _alive(file: Path, key: str) -> bool:
    try:
        pid = msgspec.json.decode(file.read_bytes(), type=dict[str, object]).get(key)
        if not isinstance(pid, int) or pid <= 0:
            return False
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError, msgspec.MsgspecError):
        return False
    return True
