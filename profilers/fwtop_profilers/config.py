"""The probe's settings: one frozen object, read once from FWTOP_* variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Mapping

SOCKET = "FWTOP_SOCKET"
WINDOWS = "FWTOP_WINDOWS"
BUDGET = "FWTOP_OVERHEAD"
DEEP = "FWTOP_DEEP"
STEP_ON = "FWTOP_STEP_ON"
RUN_ID = "FWTOP_RUN_ID"
DEBUG = "FWTOP_PROBE_DEBUG"


@dataclass(frozen=True)
class ProbeConfig:
    """What a probe needs to know of its run."""

    socket_path: str
    """The recorder's Unix socket."""
    windows_folder: str
    """Where trace windows are saved, on /dev/shm where there is one."""
    run_id: str
    budget_ratio: float = 0.01
    """Share of the run time that windows may cost: 0 switches them off, 1 traces always."""
    deep: bool = False
    """Make the first counted window a deep one."""
    step_on: str = "auto"
    """`auto`, `optimizer`, `forward`, `input` or `call:package.module:function`."""
    debug_path: str = ""
    """A file for the probe's own troubles, for its developers; empty: none."""


def from_environment(environ: Mapping[str, str] = os.environ) -> ProbeConfig | None:
    """The settings, or None where the process does not run under fwtop or they are unusable."""
    socket_path = environ.get(SOCKET, "")
    windows_folder = environ.get(WINDOWS, "")
    if not socket_path or not windows_folder:
        return None
    try:
        budget = min(1.0, max(0.0, float(environ.get(BUDGET, "0.01"))))
    except ValueError:
        budget = 0.01
    return ProbeConfig(
        socket_path=socket_path,
        windows_folder=windows_folder,
        run_id=environ.get(RUN_ID, ""),
        budget_ratio=budget,
        deep=environ.get(DEEP, "") == "1",
        step_on=environ.get(STEP_ON, "auto") or "auto",
        debug_path=environ.get(DEBUG, ""),
    )
