"""What a fresh interpreter loads: layers that import-linter cannot see, and what a start costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROBE_ROOT = Path(__file__).resolve().parents[2] / "profilers"
HEAVY = {"textual", "rich", "numpy", "pyte", "zstandard", "pynvml", "torch", "tensorflow"}


def loaded_by(statement: str, *, isolated: bool = False) -> set[str]:
    """Names of the modules in `sys.modules` after `statement`, in an interpreter of its own."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    if isolated:
        code = f"import sys; sys.path.insert(0, {str(PROBE_ROOT)!r})\n{code}"
    flags = ["-I", "-S"] if isolated else []
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_command_line_starts_without_the_heavy_libraries() -> None:
    assert not tops(loaded_by("import fwtop.cli.main")) & (HEAVY | {"sqlite3"})


def test_recorder_loads_no_view() -> None:
    modules = loaded_by("import fwtop.recorder.supervisor")
    assert not tops(modules) & {"textual", "rich", "torch", "tensorflow"}
    assert not {name for name in modules if name.startswith(("fwtop.tui", "fwtop.summary"))}


@pytest.mark.parametrize("module", ["summary", "queries.steps", "queries.run", "analysis.window"])
def test_below_the_views_nothing_draws(module: str) -> None:
    assert not tops(loaded_by(f"import fwtop.{module}")) & {"textual", "rich"}


def test_probe_needs_only_the_standard_library() -> None:
    """With -I -S there are no site-packages at all: any other import would fail."""
    modules = loaded_by("import fwtop_profilers.startup, fwtop_profilers.steps", isolated=True)
    foreign = tops(modules) - set(sys.stdlib_module_names) - {"fwtop_profilers", "__main__"}
    assert not {name for name in foreign if not name.startswith("_")}


def test_probe_loads_no_framework_by_itself() -> None:
    code = "import fwtop_profilers.startup, fwtop_profilers.torch"
    assert not tops(loaded_by(code, isolated=True)) & {"torch", "tensorflow"}
