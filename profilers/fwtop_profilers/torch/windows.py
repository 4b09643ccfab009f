"""PyTorch's trace windows: which way they are taken, and how CUDA is waited for.

Owns what of a window is PyTorch's own; the rest is `fwtop_profilers.windows`.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from fwtop_profilers.opened_window import Opened
from fwtop_profilers.probe import Context
from fwtop_profilers.torch import kineto, profiler_abi
from fwtop_profilers.torch.other_profilers import OtherProfilers
from fwtop_profilers.windows import SCRIPTS_PROFILER, Windows


class TorchWindows(Windows):
    """The trace windows of one process's PyTorch."""

    hook = "torch windows"
    framework = "torch"
    trace_format = "kineto"
    suffix = ".json"

    def __init__(self, context: Context, torch: Any, way: kineto.Way) -> None:
        super().__init__(context, way)
        self._torch = torch
        self._kineto = way
        self._others = OtherProfilers(torch, self._make_way, self._others_over)

    def _start(self, opened: Opened) -> None:
        self._kineto.start(kineto.Detail(opened.plan.deep, self._cuda_in_use()))

    def _others_running(self) -> str:
        return SCRIPTS_PROFILER if self._others.running() else ""

    def _install_others(self) -> None:
        self._others.install()

    def _uninstall_others(self) -> None:
        self._others.uninstall()

    def _is_ours(self, ours: bool) -> None:
        self._others.ours.active = ours

    def _cuda_in_use(self) -> bool:
        cuda = getattr(self._torch, "cuda", None)
        return bool(cuda is not None and cuda.is_available() and cuda.is_initialized())

    def _device_event(self) -> Any:
        if not self._cuda_in_use():
            return None
        event = self._torch.cuda.Event()
        event.record()
        return event


_installed: Optional[TorchWindows] = None


def install(context: Context) -> Callable[[], None]:
    """Put the windows in for the torch that the script imported; returns how to take them out."""
    global _installed
    import torch

    way = profiler_abi.choose(torch) or kineto.choose(torch)
    if way is None:
        _installed = None
        return lambda: None
    _installed = windows = TorchWindows(context, torch, way)
    windows.install()
    return windows.uninstall


def describe() -> str:
    """Which way windows are taken, for `Framework.hooks["windows"]`."""
    return _installed.describe() if _installed is not None else "none: this torch has no profiler"


def compile_began() -> None:
    """Told by `compile_events` when a compile begins on this thread."""
    if _installed is not None:
        _installed.compile_began()
