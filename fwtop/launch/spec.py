"""What to run: written to launch.json once, read by the recorder and the shim.

Owns the shape of launch.json only; `fwtop.launch.target` makes one from the command line.
The shim reads the file with the standard library's json, so the fields are plain.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class LaunchSpec:
    """One run, as decided by the command line before anything starts."""

    run_id: str
    argv: list[str]
    """What is executed: the interpreter and the script, or the user's own command."""
    command: list[str]
    """What the user typed after fwtop's options; shown in views."""
    cwd: str
    recording: str
    """Where the recording is when finished."""
    live_recording: str
    """Where it is written while live: the same, unless that is on a network file system."""
    terminal: bool
    """Run the script on a pseudo-terminal, because the user has one."""
    rows: int = 24
    columns: int = 80
    pass_through: bool = False
    """Copy the script's output to the launching command's own stdout and stderr as well."""
    interval_s: float = 1.0
    budget_ratio: float = 0.01
    deep: bool = False
    step_on: str = "auto"
    name: str | None = None
    tags: list[str] = field(default_factory=list)
    trace_budget_bytes: int = 256 << 20
    """Raw trace windows are kept, compressed, up to this."""


def write(spec: LaunchSpec, path: Path) -> None:
    """Write launch.json, readable by us alone."""
    path.write_text(json.dumps(asdict(spec)), encoding="ascii")
    path.chmod(0o600)


def read(path: Path) -> LaunchSpec:
    """Read launch.json; raises OSError or msgspec.MsgspecError."""
    import msgspec  # not needed to start a run, which is waited for

    return msgspec.json.decode(path.read_bytes(), type=LaunchSpec)
