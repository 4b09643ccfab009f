"""From the words after fwtop's options to what is executed.

Owns the forms of a target (README, "What can be run") and the choice of the interpreter. Executes
nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

HEAD_BYTES = 4096
ISOLATING = frozenset("IES")
"""Options of python's that keep PYTHONPATH or `site` out, and with them the probe."""
FRAMEWORKS = ("torch", "tensorflow", "jax")
_WITH_VALUE = frozenset("WX")


class TargetError(Exception):
    """The target cannot be run: `str()` says why, `next` what to do."""

    def __init__(self, text: str, next: str) -> None:
        super().__init__(text)
        self.next = next


@dataclass(frozen=True)
class Target:
    """What to execute."""

    argv: list[str]
    command: list[str]
    """What the user typed, without a leading `--`."""
    interpreter: str | None = None
    """The python that fwtop chose; None where the user's own command says."""
    reason: str = ""
    """Why that interpreter, in words."""
    notice: str = ""
    """Something that the user should know before it starts, with the remedy; may be empty."""


def resolve(
    words: Sequence[str], python: str | None = None, environ: Mapping[str, str] = os.environ
) -> Target:
    """The target that `words` mean. Raises TargetError."""
    if not words:
        raise TargetError("there is nothing to run", "name a script or a command: fwtop train.py")
    rest = list(words[1:] if words[0] == "--" else words)
    if not rest:
        raise TargetError("nothing follows `--`", "name a command: fwtop -- torchrun train.py")
    if rest[0] in ("-m", "-c"):
        if len(rest) < 2:
            raise TargetError(f"nothing follows {rest[0]}", f"fwtop {rest[0]} package.module ARGS")
        return _with_python(rest, rest, python, environ)
    on_path = None if os.sep in rest[0] else shutil.which(rest[0], path=environ.get("PATH"))
    path = Path(rest[0])
    if path.exists() and (on_path is None or path.suffix == ".py"):
        return _file(path, rest, python, environ)
    if on_path is None:
        raise _unknown(rest[0])
    return _command(rest)


def is_target(word: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a first word that is no subcommand may be meant as a target."""
    return (
        word in ("--", "-m", "-c")
        or Path(word).exists()
        or shutil.which(word, path=environ.get("PATH")) is not None
        or word.endswith(".py")
        or os.sep in word
    )


def choose_interpreter(python: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """(path, why). Raises TargetError where `--python` names none."""
    path = environ.get("PATH")
    if python is not None:
        found = shutil.which(python, path=path)
        if found is None:
            raise TargetError(
                f"--python {python}: no such interpreter", "give the path of a python executable"
            )
        return found, "--python"
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        prefix = environ.get(name)
        if prefix:
            own = Path(prefix) / "bin" / "python"
            found = shutil.which("python", path=path) or (str(own) if own.exists() else None)
            if found is not None:
                return found, f"python of the active {name}"
    framework = next((name for name in FRAMEWORKS if find_spec(name) is not None), None)
    if framework is not None:  # installed beside it: called by its path, as `.venv/bin/fwtop`
        return sys.executable, f"fwtop's own, which has {framework}"
    found = shutil.which("python3", path=path)
    if found is not None:
        return found, "python3 on PATH"
    return sys.executable, "fwtop's own, for there is no python3 on PATH"


def _with_python(
    arguments: list[str], command: list[str], python: str | None, environ: Mapping[str, str]
) -> Target:
    interpreter, reason = choose_interpreter(python, environ)
    return Target([interpreter, *arguments], command, interpreter, reason)


def _file(path: Path, words: list[str], python: str | None, environ: Mapping[str, str]) -> Target:
    if path.is_dir():
        if not (path / "__main__.py").is_file():
            raise TargetError(
                f"{path} is a folder without a __main__.py", "name a script in it, or use -m"
            )
        return _with_python(words, words, python, environ)
    if path.suffix in (".py", ".pyc", ".pyz"):
        _check_readable(path)
        return _with_python(words, words, python, environ)
    head = _check_readable(path) if not os.access(path, os.X_OK) else _head(path)
    if os.access(path, os.X_OK) and os.sep in words[0]:
        return _command(words)
    first_line = head.split(b"\n", 1)[0]
    if first_line.startswith(b"#!") and b"python" not in first_line:
        shell = first_line[2:].split()[-1:] or [b"bash"]
        name = os.path.basename(os.fsdecode(shell[0]))
        raise TargetError(
            f"{path} is a script for {name}, not for Python",
            f"run it as you would without fwtop: fwtop -- {name} {path}",
        )
    if b"\0" in head and not head.startswith(b"PK"):
        raise TargetError(f"{path} is not a script", "name a Python script, or a command on PATH")
    return _with_python(words, words, python, environ)


def _check_readable(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}", "check its permissions") from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _unknown(word: str) -> TargetError:
    if word.endswith(".py") or os.sep in word:
        where = f" in {Path.cwd()}" if not Path(word).is_absolute() else ""
        return TargetError(f"{word}: no such file{where}", "check the path")
    return TargetError(
        f"{word}: neither a file here, nor a command on PATH, nor a subcommand of fwtop's",
        "fwtop --help lists the subcommands",
    )


def _command(words: list[str]) -> Target:
    return Target(words, words, notice=_isolation_notice(words))


def _isolation_notice(words: Sequence[str]) -> str:
    """Says so where the command is a python that shuts the probe out."""
    if not os.path.basename(words[0]).startswith(("python", "pypy")):
        return ""
    shut = _isolating_options(words[1:])
    if not shut:
        return ""
    return (
        f"{words[0]} {shut} ignores PYTHONPATH or sitecustomize, so the probe cannot get in and no "
        f"steps or operators will be seen; leave {shut} out to see them (the run goes on)"
    )


def _isolating_options(arguments: Sequence[str]) -> str:
    """The first of python's own options that shuts the probe out; '' if none does."""
    skip = False
    for word in arguments:
        if skip:
            skip = False
            continue
        if len(word) < 2 or not word.startswith("-") or word.startswith("--"):
            return ""
        for position, letter in enumerate(word[1:], 1):
            if letter in ISOLATING:
                return f"-{letter}"
            if letter in "cm":
                return ""
            if letter in _WITH_VALUE:
                skip = position == len(word) - 1
                break
    return ""
