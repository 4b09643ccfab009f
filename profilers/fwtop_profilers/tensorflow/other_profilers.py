"""Notices the script's own use of TensorFlow's profiler, of which there is one a process.

The public functions are bound to many names before a probe can be in, so what they call is wrapped
instead: the private session that they make, as their own modules see it. Theirs wins: `give_way` is
called before theirs is made. A session that a remote profiler asks for passes nothing of Python's,
and fails at once, with all of its attempts, while one of ours is on. So once the script has started
a profiler server there are no windows any more. The server that a worker of a cluster has anyway
does not count: ours finds a session of it running (`BusyError`), and waits.
"""

from __future__ import annotations

import sys
from typing import Any, Callable, List, Tuple

from fwtop_profilers.clock import now_ns
from fwtop_profilers.wraps import hide

MODULES = ("tensorflow.python.profiler.profiler_v2", "tensorflow.python.eager.profiler")
NAME = "_pywrap_profiler"
SETTLING_NS = 1_000_000_000
"""So long after theirs was made it may be about to start on another thread."""


class _Watched:
    """The private module in all but what makes sessions, or lets others make them: told first."""

    def __init__(self, module: Any, told: Callable[[], None], served: Callable[[], None]) -> None:
        self._fwtop_module = module
        self._fwtop_told = told
        self._fwtop_served = served

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fwtop_module, name)

    def ProfilerSession(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
        """The real one, once ours has made way."""
        self._fwtop_told()
        return self._fwtop_module.ProfilerSession(*args, **kwargs)

    def start_server(self, *args: Any, **kwargs: Any) -> Any:
        """The real one, once ours has made way for good."""
        self._fwtop_told()
        try:
            server = self._fwtop_module.start_server(*args, **kwargs)
        except BaseException as raised:
            hide(raised)
            raise
        self._fwtop_served()
        return server


class OtherProfilers:
    """Whether the script's own profiler is on."""

    def __init__(self, give_way: Callable[[], None]) -> None:
        self._give_way = give_way
        self._replaced: List[Tuple[Any, Any, _Watched]] = []
        self._made_ns = -SETTLING_NS
        self.serving = False
        """Whether a session may be asked for from afar, at any moment."""

    def install(self) -> None:
        """Watch what is there."""
        for name in MODULES:
            module: Any = sys.modules.get(name)
            original = getattr(module, NAME, None)
            if original is None or isinstance(original, _Watched):
                continue
            watched = _Watched(original, self._told, self._served)
            setattr(module, NAME, watched)
            self._replaced.append((module, original, watched))

    def uninstall(self) -> None:
        """Put back what nobody else has replaced since."""
        while self._replaced:
            module, original, watched = self._replaced.pop()
            if getattr(module, NAME, None) is watched:
                setattr(module, NAME, original)

    def running(self) -> bool:
        """Whether theirs runs, or may start at any moment."""
        if now_ns() - self._made_ns < SETTLING_NS:
            return True
        return any(
            getattr(module, "_profiler", None) is not None for module, _, _ in self._replaced
        )

    def _served(self) -> None:
        self.serving = True

    def _told(self) -> None:
        self._made_ns = now_ns()
        self._give_way()
