"""TensorFlow's own profiler, driven by its private session, and how detailed a trace it takes.

Owns how a trace is started, stopped and saved; not when. One session a process is allowed.

The level is a C++ integer of TensorFlow's that decides which trace events are recorded. At level 2,
the profiler's own, operators that are known to be cheap are left out, and which are is learnt while
the script runs; at level 3 every operator is there, at many times the events and a slower step. So
most windows are taken at 2, and now and then one step at 3. The same integer ends the recording at
once at a step's end, so that the export, which takes its time without the GIL, can run beside.
Where the symbol is not to be found, all is taken at 2, and lasts until the export begins.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from typing import Any, Optional

from fwtop_profilers.opened_window import BusyError
from fwtop_profilers.tensorflow.quiet import Quiet

SESSION = "tensorflow.python.profiler.internal._pywrap_profiler"
TRACE_ME = "tensorflow.python.profiler.internal._pywrap_traceme"
LEVEL_SYMBOL = "_ZN3tsl8profiler8internal13g_trace_levelE"
LIBRARY = "libtensorflow_framework.so.2"
USUAL_LEVEL, FULL_LEVEL, NO_LEVEL = 2, 3, 0
STEP_NAME = "fwtop_step"
"""The trace's reader knows the steps by it."""


class XPlaneWay:
    """`ProfilerSession`, exported to a folder of its own beside the trace."""

    stop_is_short = True

    def __init__(self, tensorflow: Any, folder: str) -> None:
        """Raises AttributeError or KeyError where this TensorFlow has no such session."""
        self._session_type: Any = sys.modules[SESSION].ProfilerSession
        self._trace_me: Any = sys.modules[TRACE_ME].TraceMe
        self._folder = folder
        library = _library(tensorflow)
        self._level = None if library is None else _trace_level(library)
        self._quiet = Quiet(library)
        self._session: Any = None
        self._step: Any = None
        self._made = 0

    @property
    def name(self) -> str:
        """For `Window.way`."""
        return "session" if self._level is None else "session, levels"

    @property
    def is_silent(self) -> bool:
        """Whether it prints nothing that the script would not."""
        return self._quiet.is_certain

    @property
    def has_levels(self) -> bool:
        """Whether `FULL_LEVEL` can be had."""
        return self._level is not None

    def start(self, level: int) -> None:
        """Begin to record. Raises BusyError while another session is on."""
        self._made += 1
        export = os.path.join(self._folder, ".tb-%d-%d" % (os.getpid(), self._made))
        session = self._session_type()
        try:
            with self._quiet.held():
                session.start(export, {})
        except Exception as error:
            if type(error).__name__ == "AlreadyExistsError":
                raise BusyError("another profiler's session") from None
            raise
        self._session = (session, export)
        if self._level is not None and level != USUAL_LEVEL:
            self._level.value = level

    def step_begins(self, index: int) -> None:
        """A step that is recorded begins on this thread."""
        self._step = self._trace_me(STEP_NAME, step_num=index)

    def step_ends(self) -> None:
        """It ended."""
        step, self._step = self._step, None
        if step is not None:
            step.Stop()

    def stop(self) -> Any:
        """End the recording; the session itself ends with `save`."""
        self.step_ends()
        if self._level is not None:
            self._level.value = NO_LEVEL
        session, self._session = self._session, None
        return session

    def save(self, result: Any, path: str) -> None:
        """Export, and move the one file there is to `path`. Raises OSError or RuntimeError."""
        session, export = result
        try:
            with self._quiet.held():
                session.export_to_tb()
            found = _exported(export)
            if found is None:
                raise OSError("the profiler wrote nothing")
            os.replace(found, path)
        finally:
            shutil.rmtree(export, ignore_errors=True)

    def abort(self) -> None:
        """Throw the session away: that ends it."""
        self.step_ends()
        with self._quiet.held():
            self._session = None


def _exported(folder: str) -> Optional[str]:
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".xplane.pb"):
                return os.path.join(where, name)
    return None


def _library(tensorflow: Any) -> Optional[ctypes.CDLL]:
    """TensorFlow's library, if it is loaded: nothing is brought in by us."""
    try:
        folder = os.path.dirname(os.path.abspath(tensorflow.__file__))
        flags = os.RTLD_NOLOAD | os.RTLD_NOW
        return ctypes.CDLL(os.path.join(folder, LIBRARY), mode=flags)
    except (OSError, AttributeError, TypeError):
        return None


def _trace_level(library: ctypes.CDLL) -> Optional[Any]:
    """The C++ integer, if it holds what it may; else None."""
    try:
        level = ctypes.c_int.in_dll(library, LEVEL_SYMBOL)
    except ValueError:
        return None
    return level if -1 <= level.value <= FULL_LEVEL else None
