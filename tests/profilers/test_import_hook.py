"""Callbacks after an import, with real modules on a real path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fwtop_profilers import import_hook

NAME = "fwtop_test_target"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop(NAME, None)
    import_hook.forget(NAME)


def pending() -> bool:
    return any(type(finder).__name__ == "_Finder" for finder in sys.meta_path)


def test_called_once_after_the_body_has_run(folder: Path) -> None:
    (folder / f"{NAME}.py").write_text("value = 3")
    seen: list[Any] = []
    import_hook.when_imported(NAME, lambda module: seen.append(module.value))
    module = importlib.import_module(NAME)
    importlib.import_module(NAME)
    assert seen == [3]
    assert not pending()
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__


def test_called_now_for_a_module_that_is_there(folder: Path) -> None:
    seen: list[ModuleType] = []
    import_hook.when_imported("json", seen.append)
    assert seen == [sys.modules["json"]]
    assert not pending()


def test_a_callback_that_raises_does_not_fail_the_import(folder: Path) -> None:
    (folder / f"{NAME}.py").write_text("value = 3")
    seen: list[ModuleType] = []

    def broken(module: ModuleType) -> None:
        raise ValueError

    import_hook.when_imported(NAME, broken)
    import_hook.when_imported(NAME, seen.append)
    assert importlib.import_module(NAME).value == 3
    assert len(seen) == 1


def test_a_failed_import_is_the_modules_own_and_may_be_tried_again(folder: Path) -> None:
    path = folder / f"{NAME}.py"
    path.write_text("raise RuntimeError('half installed')")
    seen: list[ModuleType] = []
    import_hook.when_imported(NAME, seen.append)
    with pytest.raises(RuntimeError, match="half installed"):
        importlib.import_module(NAME)
    assert (seen, NAME in sys.modules) == ([], False)
    path.write_text("value = 30")
    importlib.invalidate_caches()
    importlib.import_module(NAME)
    assert len(seen) == 1


def test_a_module_that_is_not_there_is_not_found(folder: Path) -> None:
    import_hook.when_imported(NAME, lambda module: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)


def test_other_finders_go_before_and_after(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        """A finder of the old kind: no find_spec."""

    (folder / f"{NAME}.py").write_text("value = 3")
    seen: list[ModuleType] = []
    import_hook.when_imported(NAME, seen.append)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path[:1], Old(), *sys.meta_path[1:]])
    importlib.import_module(NAME)
    assert len(seen) == 1
