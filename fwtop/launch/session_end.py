"""Whether this host kills what a closed session leaves behind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

LOGIND_CONFIGURATION = (
    "/usr/lib/systemd/logind.conf",
    "/usr/lib/systemd/logind.conf.d",
    "/etc/systemd/logind.conf",
    "/run/systemd/logind.conf.d",
    "/etc/systemd/logind.conf.d",
)
"""Later ones win."""


@dataclass(frozen=True)
class Risk:
    """What would end a detached run, and the remedy."""

    text: str
    next: str


def risk(environ: Mapping[str, str]) -> Risk | None:
    """What may kill a run when its session ends; None if nothing is known to."""
    if "SLURM_JOB_ID" in environ:
        return Risk(
            f"Slurm ends everything of job {environ['SLURM_JOB_ID']} with the job or its step",
            "keep the job's shell open, or start fwtop with sbatch: fwtop record …",
        )
    if kills_user_processes(map(Path, LOGIND_CONFIGURATION)) and os.getuid() != 0:
        return Risk(
            "logind kills what a closed session leaves behind here (KillUserProcesses=yes)",
            "loginctl enable-linger, then: systemd-run --user --scope fwtop …",
        )
    return None


def kills_user_processes(places: Iterable[Path]) -> bool:
    """logind's KillUserProcesses, from its configuration files; False where none says."""
    value = "no"
    for place in places:
        files = sorted(place.glob("*.conf")) if place.is_dir() else [place]
        for file in files:
            try:
                lines = file.read_text(errors="replace").splitlines()
            except OSError:
                continue
            for line in lines:
                key, _, text = line.partition("=")
                if key.strip() == "KillUserProcesses":
                    value = text.strip().lower()
    return value in ("yes", "true", "1", "on")
