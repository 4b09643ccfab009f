"""Starting in somebody else's interpreter: sitecustomize, sys.path, and who stays silent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.profilers.collector import BOOTSTRAP, Collector

OTHER_PYTHON = "/usr/bin/python3"
SHOW = "import sys, os; print(sys.argv, sys.path, __name__, os.environ.get('PYTHONPATH'))"


def plain_and_under(argv: list[str], cwd: Path, python: str = sys.executable, **more: str):  # type: ignore[no-untyped-def]
    """(without fwtop, with fwtop) of one command, with the same further environment."""
    with Collector() as collector:
        plain = {**os.environ, **more}
        under = collector.environment(**more)
        if "PYTHONPATH" in more:
            under["PYTHONPATH"] = f"{BOOTSTRAP}{os.pathsep}{more['PYTHONPATH']}"
        return [
            subprocess.run(
                [python, *argv], env=env, cwd=cwd, capture_output=True, text=True, timeout=60
            )
            for env in (plain, under)
        ]


def test_script_sees_its_own_argv_and_path(tmp_path: Path) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    plain, under = plain_and_under(["show.py", "--lr", "1"], tmp_path)
    assert under.stdout.replace(str(BOOTSTRAP), "None") == plain.stdout
    assert (under.returncode, under.stderr) == (0, "")


def test_children_get_the_bootstrap_folder_too(tmp_path: Path) -> None:
    code = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = "import sys; print('fwtop_profilers' in sys.modules)"
    plain, under = plain_and_under(["-c", code, child], tmp_path)
    assert (plain.stdout, under.stdout) == ("False\n", "True\n")


@pytest.mark.parametrize(
    "user",
    [
        "print('mine', 'sitecustomize' in __import__('sys').modules)",
        "raise RuntimeError('mine')",
        "import missing_module",
    ],
)
def test_the_users_sitecustomize_runs_as_without(tmp_path: Path, user: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(user)
    show = "import sys; print(sys.modules['sitecustomize'].__file__ if 'mine' in sys.argv else 1)"
    argv = ["-c", show, *(["mine"] if "print" in user else [])]
    plain, under = plain_and_under(argv, tmp_path, PYTHONPATH=str(tmp_path))
    assert (under.stdout, under.stderr, under.returncode) == (
        plain.stdout,
        plain.stderr,
        plain.returncode,
    )


def test_a_sitecustomize_that_exits_ends_python_as_without(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(4)")
    plain, under = plain_and_under(["-c", "print(1)"], tmp_path, PYTHONPATH=str(tmp_path))
    assert (under.returncode, under.stdout) == (plain.returncode, plain.stdout)
    assert under.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]  # frames are more


@pytest.mark.parametrize("code", ["import sys; sys.exit(7)", "raise ValueError('x')"])
def test_exit_status_and_traceback_pass(tmp_path: Path, code: str) -> None:
    plain, under = plain_and_under(["-c", code], tmp_path)
    assert (under.returncode, under.stderr) == (plain.returncode, plain.stderr)


@pytest.mark.skipif(not Path(OTHER_PYTHON).exists(), reason="no second interpreter here")
def test_an_interpreter_that_knows_nothing_of_fwtop(tmp_path: Path) -> None:
    code = "import fwtop_profilers as f; f.mark('epoch', 1); print(sorted(f.__all__))"
    with Collector() as collector:
        environ = {"PYTHONPATH": str(BOOTSTRAP), "FWTOP_SOCKET": str(collector.path),
                   "FWTOP_WINDOWS": str(tmp_path)}  # fmt: skip
        result = subprocess.run(
            [OTHER_PYTHON, "-c", code], env=environ, cwd=tmp_path, capture_output=True, text=True
        )
        assert (result.stdout, result.stderr) == ("['mark']\n", "")
        assert collector.peers == []


def test_a_namesake_of_a_framework_in_the_users_folder(tmp_path: Path) -> None:
    """A broken or unrelated module called torch is the script's own business."""
    (tmp_path / "torch.py").write_text("raise ImportError('half installed')")
    code = "\ntry:\n    import torch\nexcept ImportError as error:\n    print(error)"
    plain, under = plain_and_under(["-c", code], tmp_path)
    assert (under.stdout, under.stderr) == (plain.stdout, plain.stderr)
    (tmp_path / "torch.py").write_text("value = 3")
    plain, under = plain_and_under(["-c", "import torch; print(torch.value)"], tmp_path)
    assert (under.stdout, under.stderr) == (plain.stdout, plain.stderr)


def test_an_interpreter_without_a_framework_imports_next_to_nothing(tmp_path: Path) -> None:
    code = "import sys; print(len(sys.modules), 'typing' in sys.modules, 'json' in sys.modules)"
    plain, under = plain_and_under(["-c", code], tmp_path)
    count, *heavy = plain.stdout.split()
    under_count, *under_heavy = under.stdout.split()
    assert under_heavy == heavy
    assert int(under_count) - int(count) <= 6  # __future__ and five of our own


def test_nothing_happens_without_the_variables(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import sys; print('fwtop_profilers.import_hook' in sys.modules, "
         "[type(f).__name__ for f in sys.meta_path][:1])"],
        env={"PYTHONPATH": str(BOOTSTRAP)}, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert "_Finder" not in result.stdout
    assert result.stderr == ""
