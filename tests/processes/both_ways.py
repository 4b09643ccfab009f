"""A user's script under plain Python and under `fwtop record`: real processes, side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent / "scripts"
FWTOP = str(Path(sys.executable).with_name("fwtop"))
TIMEOUT_S = 150


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The JSON of the last line, with which each of the scripts ends."""
        said: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return said


@dataclass(frozen=True)
class Recorded(Ended):
    """The same for a recorded one, with its recording."""

    path: Path
    summary: dict[str, Any]
    leftovers: list[str]
    """What fwtop left of its live run: nothing, if all went well."""


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """The tests' own places for everything that fwtop or torch keeps, and no settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FWTOP_")}
    kept.pop("PYTHONPATH", None)
    return {
        **kept,
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        **extra,
    }


def start(argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, with its output on pipes."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **options,
    )


def finish(process: subprocess.Popen[bytes], stdin: bytes = b"") -> Ended:
    """Wait for its end; a command that hangs fails the test."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"hangs: {process.args}\n{stdout!r}\n{stderr!r}") from None
    return Ended(process.returncode, stdout, stderr)


def summarize(path: Path, folder: Path) -> dict[str, Any]:
    """What `fwtop summary --json` says of a recording."""
    ended = finish(start([FWTOP, "summary", str(path), "--json"], env=environment(folder)))
    assert ended.status == 0, ended.stderr.decode()
    summary: dict[str, Any] = json.loads(ended.stdout)
    return summary


def both_ways(
    folder: Path,
    target: list[str],
    *,
    options: list[str] | None = None,
    stdin: bytes = b"",
    variables: dict[str, str] | None = None,
) -> tuple[Ended, Recorded]:
    """Run `python TARGET…` and `fwtop record OPTIONS TARGET…`, and summarize the recording."""
    path = folder / "run.fwtop"
    with tempfile.TemporaryDirectory(prefix="fw", dir="/tmp") as short:
        record = [FWTOP, "record", "-o", str(path), *(options or []), "--python", sys.executable]
        plain = start(
            [sys.executable, *target], env=environment(folder / "plain", **(variables or {}))
        )
        recorded = start(
            [*record, *target],
            env=environment(folder / "recorded", TMPDIR=short, **(variables or {})),
        )
        plain_ended = finish(plain, stdin)
        ended = finish(recorded, stdin)
        runs = Path(short) / f"fwtop-{os.getuid()}"
        leftovers = [str(file) for file in runs.rglob("*")]
    shared = Path("/dev/shm") / f"fwtop-{os.getuid()}"
    summary = summarize(path, folder) if path.exists() else {}
    leftovers += [str(file) for file in shared.glob(f"{summary.get('run', {}).get('id')}*")]
    leftovers += [str(file) for file in folder.glob("run.fwtop-*")]
    return plain_ended, Recorded(ended.status, ended.stdout, ended.stderr, path, summary, leftovers)
