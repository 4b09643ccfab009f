"""Where a run comes from: the git revision and the versions of the machine's software.

Nothing here may fail a run: what cannot be had is None or absent.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

GIT_TIMEOUT_S = 3.0
"""A work tree on a slow network file system may take longer; then there is no revision."""


@dataclass(frozen=True)
class Revision:
    """The commit that the working folder is at."""

    commit: str | None = None
    dirty: bool | None = None
    """Whether tracked files differ from it."""


def revision(folder: str) -> Revision:
    """The git revision of `folder`; unknown without git, outside a work tree or when it is slow."""
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return Revision()
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return Revision(commit.strip(), None if changes is None else bool(changes.strip()))


def versions() -> dict[str, str]:
    """What is known at once of the machine."""
    system = os.uname()
    found = {"os": _distribution() or system.sysname, "kernel": system.release}
    return found | {"machine": system.machine}


def _distribution() -> str | None:
    import platform  # not needed before the script has started

    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _git(folder: str, *arguments: str) -> str | None:
    # No optional locks: a status that refreshes the index must not get in the user's way.
    command = ["git", "--no-optional-locks", "-C", folder, *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
