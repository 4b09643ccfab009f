"""The interpreters: fwtop's own, and the one that a script would get, with its frameworks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fwtop import __version__
from fwtop.cli.doctor.check import Check, ok, problem, warning
from fwtop.cli.doctor.inquiry import MARK
from fwtop.launch.environment import bootstrap_folder
from fwtop.launch.target import TargetError, choose_interpreter

OLDEST = (3, 9)
INTERPRETER_S = 20.0
FRAMEWORK_S = 120.0
"""Importing a framework from a cold network disk takes long."""
_INQUIRY = Path(__file__).with_name("inquiry.py")


class _NoAnswer(Exception):  # noqa: N818 - the text is the message
    """The interpreter did not answer; the text says why."""


def own(python: str | None) -> Iterator[Check]:
    """fwtop itself."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield ok(
        "fwtop", f"{__version__}, on Python {version}", version=__version__, python=sys.executable
    )


def of_script(python: str | None) -> Iterator[Check]:
    """The interpreter that `fwtop train.py` would use, and what is in it."""
    try:
        path, why = choose_interpreter(python, os.environ)
    except TargetError as error:
        yield problem("interpreter", str(error), error.next)
        return
    try:
        found = _ask(path, "python", INTERPRETER_S)
    except _NoAnswer as error:
        yield problem("interpreter", f"{path}: {error}", "name another one with --python PATH")
        return
    version = str(found.get("version"))
    text = f"{path} ({why}), {found.get('implementation')} {version}"
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        yield problem(
            "interpreter", text, f"the probe needs Python {OLDEST[0]}.{OLDEST[1]} or newer", **found
        )
        return
    yield ok("interpreter", text, **found)
    yield _injection(path, found)
    frameworks = [name for name in ("torch", "tensorflow") if name in found.get("found", ())]
    if not frameworks:
        yield warning(
            "frameworks",
            f"neither torch nor tensorflow is in {path}",
            "activate the environment that you train in, or name its python with --python",
        )
    for name in frameworks:
        yield from _framework(path, name)


def _injection(path: str, found: dict[str, Any]) -> Check:
    """Whether PYTHONPATH starts the probe there: seen, not supposed."""
    started = found.get("sitecustomize")
    if started and Path(started).parent == bootstrap_folder():
        return ok("PYTHONPATH", "starts the probe in this interpreter", sitecustomize=started)
    return problem(
        "PYTHONPATH",
        f"does not start the probe: sitecustomize is {started or 'none'}",
        "an interpreter that ignores PYTHONPATH (-E, -I, a wrapper that clears it) cannot be "
        "watched: run the script with a plain python",
        sitecustomize=started,
    )


def _framework(path: str, name: str) -> Iterator[Check]:
    try:
        found = _ask(path, name, FRAMEWORK_S)
    except _NoAnswer as error:
        yield warning(name, str(error), f"try `{path} -c 'import {name}'`", path=path)
        return
    if "error" in found:
        yield warning(
            name, f"cannot be imported: {found['error']}", f"try `{path} -c 'import {name}'`"
        )
        return
    devices = f", {found['devices']} GPU(s)" if found.get("devices") else ", on the CPU"
    yield ok(name, f"{found['version']}{devices}", **found)
    missing = {
        "windows": "the profiler's private functions: operators will be missing",
        "kineto": "Kineto: kernels will be missing",
        "steps": "global optimizer hooks: steps come from backward or --step-on",
        "compile_events": "the structured trace log: compile events will be missing",
    }
    for key, what in missing.items():
        if found.get(key) is False:
            yield warning(name, f"{found['version']} lacks {what}", f"a newer {name} has it")
    if found.get("cuda_built") and not found.get("cuda_available"):
        yield warning(
            name,
            f"built for CUDA {found['cuda_built']}, and finds no GPU",
            "check CUDA_VISIBLE_DEVICES and the driver (nvidia-smi)",
        )


def _ask(path: str, what: str, timeout_s: float) -> dict[str, Any]:
    """One answer of `inquiry.py` run by `path`. Raises _NoAnswer."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FWTOP_")}
    theirs = environment.get("PYTHONPATH")
    folders = [str(bootstrap_folder()), *([theirs] if theirs else [])]
    environment |= {"PYTHONPATH": os.pathsep.join(folders), "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [path, "-c", _INQUIRY.read_text(), what],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _NoAnswer(f"no answer within {timeout_s:.0f} s") from None
    except OSError as error:
        raise _NoAnswer(f"cannot be run: {error.strerror}") from error
    _, _, answer = done.stdout.decode(errors="replace").rpartition(MARK)
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.MsgspecError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        said = f": {last[0]}" if last else ""
        raise _NoAnswer(f"ended with status {done.returncode}{said}") from None
