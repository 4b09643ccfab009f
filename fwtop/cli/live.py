"""Live runs: which one is meant, and asking its shim, with or without a recorder."""

from __future__ import annotations

import json
import select
import socket
import time
from typing import Any

import msgspec

from fwtop import run_folder
from fwtop.cli.diagnostics import Code, Failure
from fwtop.launch import spec
from fwtop.launch.recorder_process import RecorderError, RecorderProcess
from fwtop.run_folder import RunFolder
from fwtop.runs.liveness import has_shim


def live_folders() -> list[RunFolder]:
    """The run folders of runs that are alive, or whose end nobody has recorded; newest first."""
    folders = [one for one in run_folder.existing() if one.launch.exists()]
    return [one for one in folders if has_shim(one) or one.exit.exists()]


def find_live(word: str | None) -> RunFolder:
    """The run folder that `word` (an id or its start) means; None: the newest live run.

    Raises Failure if there is none, or several.
    """
    if word is None:
        found = live_folders()
        if found:
            return found[0]
        raise no_run_is_alive()
    folders = [one for one in run_folder.existing() if one.launch.exists()]
    matching = [one for one in folders if one.run_id.startswith(word)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise Failure(
            Code.NO_RUN,
            f"{word} is the start of {len(matching)} live runs",
            f"write more of it: {', '.join(one.run_id for one in matching[:5])}",
        )
    raise Failure(
        Code.NO_RUN,
        f"{word}: no live run of that id",
        "fwtop ls lists runs; a finished one is opened with fwtop open",
    )


def no_run_is_alive() -> Failure:
    """What is said where a live run is wanted and there is none."""
    return Failure(
        Code.NO_RUN, "no run is alive", "fwtop TARGET starts one; fwtop ls lists recordings"
    )


def read_launch(folder: RunFolder) -> spec.LaunchSpec:
    """launch.json. Raises Failure for a folder without a sound one."""
    try:
        return spec.read(folder.launch)
    except (OSError, msgspec.MsgspecError) as error:
        raise Failure(
            Code.NO_RUN,
            f"{folder.launch} cannot be read: {error}",
            f"remove what is left of the run: fwtop rm {folder.run_id}",
        ) from error


def resume(folder: RunFolder) -> RecorderProcess:
    """Another recorder for a run whose recorder died. Raises Failure."""
    try:
        recorder = RecorderProcess(resume=True)
        recorder.begin(folder)
    except (RecorderError, OSError) as error:
        raise Failure(
            Code.START,
            f"no recorder can take over {folder.run_id}: {error}",
            getattr(error, "next", "") or f"{folder.recorder_log} has the details",
        ) from error
    return recorder


def ask_shim(shim: socket.socket, body: dict[str, Any]) -> None:
    """Send one request; the script may have ended meanwhile."""
    try:
        shim.sendall(json.dumps(body).encode("ascii") + b"\n")
    except OSError:
        pass


def wait_for_end(shim: socket.socket, timeout_s: float) -> bool:
    """Whether the script ended within the time."""
    deadline = time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        if select.select([shim], [], [], left)[0]:
            try:
                if not shim.recv(4096):
                    return True
            except OSError:
                return True
    return False
