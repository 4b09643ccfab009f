"""TensorFlow's trace windows: their level of detail, the steps' marks in them, who else profiles.

Owns what of a window is TensorFlow's own; the rest is `fwtop_profilers.windows`.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from fwtop_profilers.opened_window import Opened
from fwtop_profilers.probe import Context
from fwtop_profilers.tensorflow.other_profilers import OtherProfilers
from fwtop_profilers.tensorflow.xplane import FULL_LEVEL, USUAL_LEVEL, XPlaneWay
from fwtop_profilers.windows import MAX_END_WAIT_S, SCRIPTS_PROFILER, Windows

FULL_EVERY = 8
"""One counted window in so many is taken at the full level."""


class TensorFlowWindows(Windows):
    """The trace windows of one process's TensorFlow."""

    hook = "tensorflow windows"
    framework = "tensorflow"
    trace_format = "xplane"
    suffix = ".xplane.pb"
    ends_on_any_thread = True

    def __init__(self, context: Context, way: XPlaneWay) -> None:
        super().__init__(context, way)
        self._xplane = way
        self._others = OtherProfilers(self._give_way)
        self._counted = 0

    def _start(self, opened: Opened) -> None:
        plan = opened.plan
        full = plan.deep or (plan.counted and self._counted % FULL_EVERY == 0)
        level = FULL_LEVEL if full and self._xplane.has_levels else USUAL_LEVEL
        self._xplane.start(level)
        self._counted += plan.counted
        opened.level = str(level)
        if level == FULL_LEVEL and not plan.demanded:
            opened.wanted_steps = 1
        self._xplane.step_begins(opened.first_step)

    def _step_began(self, index: int, start_ns: int) -> None:
        opened = self._opened
        if opened is not None and opened.steps:
            self._xplane.step_begins(index)
        super()._step_began(index, start_ns)

    def _step_ended(self, index: int, start_ns: int, end_ns: int, flags: int) -> None:
        if self._opened is not None:
            self._xplane.step_ends()
        super()._step_ended(index, start_ns, end_ns, flags)

    def _others_running(self) -> str:
        if self._others.serving:
            return "the script's profiler server"
        return SCRIPTS_PROFILER if self._others.running() else ""

    def _install_others(self) -> None:
        self._others.install()

    def _uninstall_others(self) -> None:
        self._others.uninstall()

    def _give_way(self) -> None:
        """The script's own profiler is about to start: ours ends first, on whatever thread."""
        self._guard(self._stand_back)
        if self._saver.beside:
            self._saver.wait(MAX_END_WAIT_S)  # an export under way would make theirs fail

    def _stand_back(self) -> None:
        self._break_off(SCRIPTS_PROFILER)
        self._governor.block(SCRIPTS_PROFILER)
        self._report()


_installed: Optional[TensorFlowWindows] = None


def install(context: Context, tensorflow: Any) -> Callable[[], None]:
    """Put the windows in; returns how to take them out.

    Raises AttributeError or KeyError where this TensorFlow has no private session.
    """
    global _installed
    way = XPlaneWay(tensorflow, context.config.windows_folder)
    if not way.is_silent:
        _installed = None
        return lambda: None
    _installed = windows = TensorFlowWindows(context, way)
    windows.install()
    return windows.uninstall


def describe() -> str:
    """Which way windows are taken, for `Framework.hooks["windows"]`."""
    if _installed is not None:
        return _installed.describe()
    return "none: this version's profiler would print; TF_CPP_MIN_LOG_LEVEL=1 lets it run"


def compile_began() -> None:
    """Told when a function is about to be traced on this thread."""
    if _installed is not None:
        _installed.compile_began()
