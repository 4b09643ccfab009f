"""Words to what is executed, and which interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fwtop.launch import target
from fwtop.launch.target import TargetError, resolve


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3", "torchrun"):
        tool = tmp_path / "bin" / name
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
    (tmp_path / "train.py").write_text("")
    monkeypatch.setattr(target, "FRAMEWORKS", ())  # the environment of the tests has them
    return tmp_path


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {"PATH": str(folder / "bin"), **more}


def test_interpreter_in_order_of_nearness(folder: Path) -> None:
    here = environ(folder)
    own = str(folder / "bin" / "python3")
    assert resolve(["train.py"], None, here).argv == [own, "train.py"]
    active = environ(folder, VIRTUAL_ENV="/somewhere")
    chosen = resolve(["train.py"], None, active)
    assert chosen.interpreter == str(folder / "bin" / "python")
    assert "VIRTUAL_ENV" in chosen.reason
    named = resolve(["train.py"], sys.executable, active)
    assert (named.interpreter, named.reason) == (sys.executable, "--python")
    bare = resolve(["train.py"], None, {"PATH": "/nowhere"})
    assert bare.interpreter == sys.executable
    assert "own" in bare.reason


def test_own_interpreter_if_the_framework_is_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.venv/bin/fwtop train.py` means that environment, active or not."""
    monkeypatch.setattr(target, "FRAMEWORKS", ("no_such_framework", "json"))
    chosen = resolve(["train.py"], None, environ(folder))
    assert (chosen.interpreter, chosen.reason) == (sys.executable, "fwtop's own, which has json")
    active = resolve(["train.py"], None, environ(folder, VIRTUAL_ENV="/somewhere"))
    assert active.interpreter == str(folder / "bin" / "python")


def test_environment_that_is_active_but_not_on_path(folder: Path) -> None:
    prefix = folder / "conda"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "python").write_text("#!/bin/sh\n")
    found = resolve(["train.py"], None, {"PATH": "/nowhere", "CONDA_PREFIX": str(prefix)})
    assert found.interpreter == str(prefix / "bin" / "python")


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (["train.py", "-m", "--", "x"], ["PY", "train.py", "-m", "--", "x"]),
        (["-m", "pkg.mod", "-q"], ["PY", "-m", "pkg.mod", "-q"]),
        (["-c", "pass"], ["PY", "-c", "pass"]),
        (["--", "torchrun", "train.py"], ["torchrun", "train.py"]),
        (["--", "train.py", "x"], ["PY", "train.py", "x"]),
        (["torchrun", "--nproc-per-node", "2", "train.py"],
         ["torchrun", "--nproc-per-node", "2", "train.py"]),
        (["python", "train.py"], ["python", "train.py"]),
        (["pack", "x"], ["PY", "pack", "x"]),
        (["./tool", "x"], ["./tool", "x"]),
        (["plain"], ["PY", "plain"]),
    ],
)  # fmt: skip
def test_forms(folder: Path, words: list[str], argv: list[str]) -> None:
    (folder / "pack").mkdir()
    (folder / "pack" / "__main__.py").write_text("")
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    (folder / "plain").write_text("print('a script without an ending')\n")
    target = resolve(words, None, environ(folder))
    assert [word.replace(str(folder / "bin" / "python3"), "PY") for word in target.argv] == argv
    assert target.command == [*words][words[0] == "--" :]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing to run"),
        (["--"], "--"),
        (["-m"], "-m"),
        (["nothing.py"], "no such file"),
        (["./nothing"], "no such file"),
        (["nothing"], "neither"),
        (["empty"], "__main__.py"),
        (["shell.sh"], "bash"),
        (["binary"], "not a script"),
    ],
)
def test_refusals(folder: Path, words: list[str], says: str) -> None:
    (folder / "empty").mkdir()
    (folder / "shell.sh").write_text("#!/usr/bin/env bash\n")
    (folder / "binary").write_bytes(b"\x7fELF\0\0\0")
    with pytest.raises(TargetError, match=says) as caught:
        resolve(words, None, environ(folder))
    assert caught.value.next


@pytest.mark.parametrize(
    ("options", "shut"),
    [
        (["-I", "train.py"], True),
        (["-E", "train.py"], True),
        (["-uS", "train.py"], True),
        (["-W", "ignore", "-I", "train.py"], True),
        (["-Wignore", "-u", "train.py"], False),
        (["train.py", "-I"], False),
        (["-m", "mod", "-E"], False),
        (["-c", "pass", "-S"], False),
        (["-X", "importtime", "train.py"], False),
        (["-s", "train.py"], False),
        (["-", "-E"], False),
    ],
)
def test_isolated_interpreters_are_noticed(folder: Path, options: list[str], shut: bool) -> None:
    notice = resolve(["python", *options], None, environ(folder)).notice
    assert bool(notice) is shut
    assert not shut or "probe cannot get in" in notice
