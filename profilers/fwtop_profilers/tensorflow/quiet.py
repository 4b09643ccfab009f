"""Keeps the profiler's own log lines off the script's stderr while a session is ours.

Owns one level of the log library in TensorFlow, which it raises around our calls and puts back, so
that what the script's own profiler and everything else prints stays as it was. Each session says at
least four times at level INFO how it fares.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import Any, Iterator, Mapping, Optional, Tuple

RELEASES = (
    "20260526", "20260107", "20250814", "20250512", "20250127", "20240722", "20240116", "20230802",
)  # fmt: skip
"""Releases of Abseil, whose names are part of its symbols."""
GET = "_ZN4absl12lts_%s11MinLogLevelEv"
SET = "_ZN4absl12lts_%s12log_internal17RawSetMinLogLevelENS0_18LogSeverityAtLeastE"
OWN_LOG = "_ZN3tsl8internal10LogMessageD1Ev"
"""A log of TensorFlow's own (2.16 to 2.18), which asks Abseil's level nothing and the environment
once: there a session's lines cannot be held back."""
WARNING = 1
USERS_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


class Quiet:
    """The level of one process."""

    def __init__(self, library: Optional[ctypes.CDLL], environ: Mapping[str, str] = os.environ):
        self._functions = None if library is None else _functions(library)
        self._users_level = environ.get(USERS_LEVEL, "")

    @property
    def is_certain(self) -> bool:
        """Whether nothing will be printed: the level can be held, or the user has raised it."""
        return self._functions is not None or self._users_level.strip() in ("1", "2", "3")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing below a warning is printed within."""
        if self._functions is None:
            yield
            return
        get, put = self._functions
        before = get()
        if before >= WARNING:
            yield
            return
        put(WARNING)
        try:
            yield
        finally:
            put(before)


def _functions(library: ctypes.CDLL) -> Optional[Tuple[Any, Any]]:
    if hasattr(library, OWN_LOG):
        return None
    for release in RELEASES:
        try:
            get, put = getattr(library, GET % release), getattr(library, SET % release)
        except AttributeError:
            continue
        get.restype, get.argtypes = ctypes.c_int, []
        put.restype, put.argtypes = None, [ctypes.c_int]
        return get, put
    return None
