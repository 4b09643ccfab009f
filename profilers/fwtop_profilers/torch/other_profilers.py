"""Notices the script's own use of PyTorch's profiler, of which there is one a process.

Owns three wraps in `torch.autograd.profiler`: of `_prepare_profiler`, `_run_on_profiler_start` and
`_run_on_profiler_stop`, through which `torch.profiler`, `torch.autograd.profiler` and the NVTX and
ITT emitters all pass. They run before the user's recording begins and after it has ended, so no
frame of ours is in the user's stacks. Theirs wins: `make_way` is called before theirs starts.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Tuple


class OtherProfilers:
    """Whether the script's own profiler is prepared or running."""

    def __init__(self, torch: Any, make_way: Callable[[], None], over: Callable[[], None]) -> None:
        self._torch = torch
        self._make_way = make_way
        self._over = over
        self._patched: List[Tuple[Any, str, Any, Any]] = []
        self.ours = threading.local()
        """`ours.active` is set while we use the public profiler ourselves."""

    def install(self) -> None:
        """Wrap what is there; older versions lack some."""
        module = self._torch.autograd.profiler
        self._wrap(module, "_prepare_profiler", before=self._make_way)
        if hasattr(module, "_run_on_profiler_start") and hasattr(module, "_run_on_profiler_stop"):
            self._wrap(module, "_run_on_profiler_start", before=self._make_way)
            self._wrap(module, "_run_on_profiler_stop", after=self._over)
        else:
            self._wrap(module, "_enable_profiler", before=self._make_way)
            self._wrap(module, "_disable_profiler", after=self._over)

    def uninstall(self) -> None:
        """Take the wraps out, unless someone has wrapped them again since."""
        for owner, name, original, ours in self._patched:
            if getattr(owner, name, None) is ours:
                setattr(owner, name, original)
        self._patched.clear()

    def running(self) -> bool:
        """Whether a profiler is on that was started past our wraps."""
        autograd = self._torch.autograd
        if getattr(autograd.profiler, "_is_profiler_enabled", False):
            return True
        enabled = getattr(autograd, "_profiler_enabled", None)
        return bool(enabled is not None and enabled())

    def _wrap(
        self,
        owner: Any,
        name: str,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
    ) -> None:
        original = getattr(owner, name, None)
        if original is None:
            return
        local = self.ours

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            mine = getattr(local, "active", False)
            if before is not None and not mine:
                before()
            try:
                return original(*args, **kwargs)
            finally:
                if after is not None and not mine:
                    after()

        wrapped.__wrapped__ = original  # type: ignore[attr-defined]
        self._patched.append((owner, name, original, wrapped))
        setattr(owner, name, wrapped)
