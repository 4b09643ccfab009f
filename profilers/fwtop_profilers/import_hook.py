"""Runs callbacks right after a module has been imported.

Owns one finder at the head of `sys.meta_path`, which leaves as soon as nothing is pending. It lets
the finders behind it find, and wraps the loader's `exec_module` for the modules that are waited
for. Never makes an import fail: an error of ours is swallowed, the module's own passes. Imports
nothing, because every interpreter under fwtop pays for it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable, Dict, List, Optional, Sequence

_pending: Dict[str, List[Callable[[ModuleType], None]]] = {}


def when_imported(name: str, callback: Callable[[ModuleType], None]) -> None:
    """Call `callback(module)` once `name` has been imported; now, if it has been."""
    module = sys.modules.get(name)
    if module is not None and not _initializing(module):
        _call(callback, module)
        return
    _pending.setdefault(name, []).append(callback)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget(name: str) -> None:
    """Wait for `name` no longer."""
    _pending.pop(name, None)
    _leave_if_idle()


class _Finder:
    """Delegates to the finders behind it, and wraps the loader that they give."""

    def find_spec(
        self,
        name: str,
        path: Optional[Sequence[str]] = None,
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        """The next finder's spec, with a wrapped loader, for a module that is waited for."""
        if name not in _pending:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: Optional[ModuleSpec] = find(name, path, target)
            if spec is not None:
                loader = spec.loader
                if loader is not None and hasattr(loader, "exec_module"):
                    spec.loader = _Loader(loader)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """The real loader in all but `exec_module`; gone from the module once it has run."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        """As the real loader has it."""
        module: Optional[ModuleType] = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module as it would have been, then call who waits for it."""
        loader = self._loader
        spec = getattr(module, "__spec__", None)
        if spec is not None and spec.loader is self:
            spec.loader = loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = loader
        try:
            loader.exec_module(module)
        except BaseException as error:
            if error.__traceback__ is not None:  # as `wraps.hide` does, which is not imported here
                error.__traceback__ = error.__traceback__.tb_next
            raise
        _executed(module.__name__, module)


_finder = _Finder()


def _executed(name: str, module: ModuleType) -> None:
    for callback in _pending.pop(name, []):
        _call(callback, module)
    _leave_if_idle()


def _leave_if_idle() -> None:
    if not _pending and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def _initializing(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _call(callback: Callable[[ModuleType], None], module: ModuleType) -> None:
    try:
        callback(module)
    except Exception:  # the import succeeded, and must be seen to
        return
