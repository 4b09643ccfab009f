"""A module that has a framework's name and is none, or a framework that cannot be imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.processes.both_ways import both_ways

HOSTILE = """
class Hostile:
    def __getattr__(self, name):
        raise RuntimeError("broken on purpose")
    def __str__(self):
        raise RuntimeError("broken on purpose")
    __repr__ = __str__

__version__ = Hostile()
__name__ = Hostile()
def __getattr__(name):
    raise RuntimeError("broken on purpose")
"""
FAILS = {
    "a library is missing": "raise ImportError('libtensorflow_framework.so.2: cannot open')",
    "breaks": "import json\njson.loads('{')",
    "exits": "raise SystemExit(4)",
    "syntax": "x =",
}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="older Pythons keep a wrapper's frame")
@pytest.mark.parametrize("name", ["tensorflow", "keras"])
def test_its_error_is_told_as_ever(name: str, tmp_path: Path) -> None:
    for body in FAILS.values():
        (tmp_path / f"{name}.py").write_text(body)
        (tmp_path / "train.py").write_text(f"print('begins', flush=True)\nimport {name}\n")
        (tmp_path / "run.fwtop").unlink(missing_ok=True)
        plain, recorded = both_ways(tmp_path, [str(tmp_path / "train.py")], options=["-q"])
        assert plain.status == recorded.status != 0
        assert (recorded.stdout, recorded.stderr) == (plain.stdout, plain.stderr)


def test_a_module_of_the_users_own_by_that_name_is_left_alone(tmp_path: Path) -> None:
    names = ("tensorflow", "keras", "tf_keras", "torch")
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"print('{name}')\n" + HOSTILE)
    code = "".join(f"import {name}\n" for name in names) + "print('done')\n"
    (tmp_path / "train.py").write_text(code)
    plain, recorded = both_ways(tmp_path, [str(tmp_path / "train.py")], options=["-q"])
    assert plain.stdout.endswith(b"done\n")
    assert (recorded.status, recorded.stdout, recorded.stderr) == (0, plain.stdout, plain.stderr)
    assert recorded.summary["steps"]["count"] == 0
