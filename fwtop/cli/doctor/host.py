"""The host: folders, memory for trace windows, and what happens to a run when SSH goes away."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fwtop import run_folder as run_folders
from fwtop.cli import options
from fwtop.cli.doctor.check import Check, ok, problem, warning
from fwtop.formatting import format_bytes
from fwtop.launch.filesystem import filesystem_type, is_network

LOW_BYTES = 1 << 30
WINDOWS_BYTES = 256 << 20
LOGINCTL_S = 3.0
LOGIND_FILES = (
    "/usr/lib/systemd/logind.conf", "/etc/systemd/logind.conf", "/usr/lib/systemd/logind.conf.d",
    "/run/systemd/logind.conf.d", "/etc/systemd/logind.conf.d",
)  # fmt: skip
"""Later ones win: drop-ins over the file, /etc over the distribution's."""


def state_folder(python: str | None) -> Iterator[Check]:
    """Where recordings go."""
    folder = options.state_folder()
    error = _write_error(folder)
    if error:
        yield problem(
            "state folder",
            f"{folder} cannot be written: {error}",
            "name recordings with -o FILE, or set XDG_STATE_HOME to a folder of your own",
        )
        return
    free = shutil.disk_usage(_existing(folder)).free
    text = f"{folder}, {format_bytes(free)} free"
    if is_network(folder):
        text += f" ({filesystem_type(folder)}: runs are recorded on a local disk and moved there)"
    if free < LOW_BYTES:
        yield warning("state folder", text, "make room, or name recordings with -o FILE")
    else:
        yield ok("state folder", text, free_bytes=free)


def run_folder(python: str | None) -> Iterator[Check]:
    """Where a live run's sockets lie."""
    folder = run_folders.root()
    error = _write_error(folder)
    if error:
        yield problem(
            "run folder",
            f"{folder} cannot be written: {error}",
            "set TMPDIR to a folder of your own on a local disk",
        )
    elif is_network(folder):
        yield problem(
            "run folder",
            f"{folder} is on {filesystem_type(folder)}, where sockets do not work",
            "set TMPDIR to a folder of your own on a local disk",
        )
    else:
        yield ok("run folder", str(folder))


def shared_memory(python: str | None) -> Iterator[Check]:
    """Where trace windows pass from the script to the recorder."""
    shared = Path("/dev/shm")
    if not (shared.is_dir() and os.access(shared, os.W_OK)):
        yield ok("/dev/shm", f"not usable: trace windows go through {tempfile.gettempdir()}")
        return
    free = shutil.disk_usage(shared).free
    text = f"{format_bytes(free)} free"
    if free < WINDOWS_BYTES:
        yield warning(
            "/dev/shm",
            f"{text}; a trace window may need more",
            "in a container: docker run --shm-size=1g (DataLoader workers need it too)",
        )
    else:
        yield ok("/dev/shm", text, free_bytes=free)


def detaching(python: str | None) -> Iterator[Check]:
    """Whether logind kills what a closed SSH session leaves behind."""
    kills = _kills_user_processes()
    if not kills:
        yield ok("after logout", "runs go on (logind does not kill user processes)")
        return
    if _lingers():
        yield ok("after logout", f"runs go on: lingering is on, though {kills}")
        return
    yield warning(
        "after logout",
        f"logind ends your processes: {kills}",
        "loginctl enable-linger, or start fwtop with systemd-run --user --scope",
    )


def batch_job(python: str | None) -> Iterator[Check]:
    """Within a Slurm job, the job's end is the run's."""
    job = os.environ.get("SLURM_JOB_ID")
    if job:
        yield warning(
            "Slurm",
            f"this is job {job}: its end, and its step's, ends every process of it",
            "use fwtop within the job script, with `fwtop record`; attach with "
            "`srun --overlap --jobid=" + job + " --pty fwtop attach`",
        )


def permissions(python: str | None) -> Iterator[Check]:
    """What fwtop does without."""
    yield ok("permissions", "none needed: no ptrace, no root, no perf_event")


def _write_error(folder: Path) -> str | None:
    """Why no file can be made in a folder (or in what of its path exists); None if one can."""
    there = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"{there}: {error.strerror}" if there != folder else error.strerror


def _existing(folder: Path) -> Path:
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def _kills_user_processes() -> str | None:
    """The setting that does, in words; None if no file sets it. systemd's own default is no."""
    found: str | None = None
    for name in LOGIND_FILES:
        path = Path(name)
        for file in sorted(path.glob("*.conf")) if path.is_dir() else [path]:
            try:
                text = file.read_text(errors="replace")
            except OSError:
                continue
            for line in text.splitlines():
                key, _, value = line.strip().partition("=")
                if key.strip() == "KillUserProcesses":
                    yes = value.strip().lower() in ("yes", "true", "1", "on")
                    found = f"{file} says {line.strip()}" if yes else None
    return found


def _lingers() -> bool:
    try:
        done = subprocess.run(
            ["loginctl", "show-user", getpass.getuser(), "--property=Linger"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LOGINCTL_S,
            check=False,
        )
    except (OSError, KeyError, subprocess.TimeoutExpired):
        return False
    return b"Linger=yes" in done.stdout
