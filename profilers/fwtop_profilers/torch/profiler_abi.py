"""Ends and saves a trace with the GIL released, by calling PyTorch's C++ through ctypes.

Owns the symbols, the layouts that they imply, and the conditions under which they may be called at
all. Through Python, stop and save hold the GIL for some 20 ms of a 3,700-event trace; here a thread
does both while the script trains on.

Three things make it sound, and are checked or arranged:
- Every function is found under its mangled name, which fixes its signature and libstdc++'s string;
  x86-64 Linux only, where a returned `unique_ptr` comes through a hidden first argument.
- `profile_all_threads=True` makes the profiler's state the process's and not the thread's, so that
  another thread may end it. Recording ends on the training thread between two steps
  (`removeCallback`), and the state is taken down `GRACE_S` later, so that an operator of some other
  thread that was about to write into it has long finished.
- A C++ exception through ctypes would end the process. So the way is used only for PyTorch versions
  that it was tried with, and only where `profiler_selftest` has passed, in a process of its own,
  with this very interpreter and this very build.

Each window leaves 64 bytes behind: the result object's own memory is not given back, because which
`operator delete` belongs to it cannot be known under another allocator.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import sys
import time
from typing import Any, Optional

from fwtop_profilers.torch.kineto import Detail, PlainWay

TRIED_VERSIONS = ("2.13.",)
GRACE_S = 0.02
STRING = "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
DISABLE = "_ZN5torch8autograd8profiler15disableProfilerEv"
SAVE = "_ZN5torch8autograd8profiler14ProfilerResult4saveERK" + STRING
DESTROY = "_ZN5torch8autograd8profiler14ProfilerResultD1Ev"
GET_STATE = "_ZN5torch8profiler4impl17ProfilerStateBase3getEb"
REMOVE_CALLBACK = "_ZN5torch8profiler4impl17ProfilerStateBase14removeCallbackEv"


class _String(ctypes.Structure):
    """libstdc++'s std::string (new ABI) that points at a buffer of ours."""

    _fields_ = (
        ("data", ctypes.c_char_p),
        ("size", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("unused", ctypes.c_size_t),
    )


class GilReleasedWay(PlainWay):
    """`PlainWay`, with stop and save on the saving thread and without the GIL."""

    name = "gil released"
    stop_is_short = True

    def __init__(self, torch: Any) -> None:
        """Raises OSError or AttributeError where something is missing."""
        super().__init__(torch)
        self._types._ExperimentalConfig(profile_all_threads=True, trace_only=True)
        library = os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so")
        mode = os.RTLD_NOLOAD | os.RTLD_NOW
        released, held = ctypes.CDLL(library, mode=mode), ctypes.PyDLL(library, mode=mode)
        pointer = ctypes.c_void_p
        self._disable_released = _function(released, DISABLE, pointer, pointer)
        self._save_released = _function(released, SAVE, None, pointer, pointer)
        self._destroy_released = _function(released, DESTROY, None, pointer)
        self._get_state = _function(held, GET_STATE, pointer, ctypes.c_bool)
        self._remove_callback = _function(held, REMOVE_CALLBACK, None, pointer)
        self._deep = False

    def start(self, detail: Detail) -> None:
        """A deep trace takes the plain way: stacks need the GIL to be read."""
        self._deep = detail.deep
        super().start(detail)

    def stop(self) -> Any:
        """End the recording, which is short; `save` takes the trace down."""
        if self._deep:
            return super().stop()
        state = self._get_state(True)
        if not state:
            raise RuntimeError("the profiler's state is not the process's")
        self._remove_callback(state)
        return None

    def abort(self) -> None:
        """Stop and throw away, at once and with the GIL."""
        super().stop()

    def save(self, result: Any, path: str) -> None:
        """Write the trace as JSON, without the GIL."""
        if result is not None:
            super().save(result, path)
            return
        time.sleep(GRACE_S)
        if not self._get_state(True):
            raise RuntimeError("somebody else has ended the trace")
        with self._quiet.held():
            self._save(path)

    def _save(self, path: str) -> None:
        made = ctypes.c_void_p()
        self._disable_released(ctypes.byref(made))
        if not made.value:
            raise RuntimeError("the profiler gave no result")
        try:
            name = os.fsencode(path)
            string = _String(name, len(name), len(name), 0)
            self._save_released(made, ctypes.byref(string))
        finally:
            self._destroy_released(made)

    def _experimental(self, detail: Detail) -> Any:
        if detail.deep:
            return super()._experimental(detail)
        return self._types._ExperimentalConfig(profile_all_threads=True, trace_only=True)


def _function(library: Any, symbol: str, result: Any, *arguments: Any) -> Any:
    function = library[symbol]
    function.restype = result
    function.argtypes = arguments
    return function


def choose(torch: Any) -> Optional[GilReleasedWay]:
    """The way, where it has been shown to work; None anywhere else."""
    if not may_work(torch) or verdict(torch) != "passed":
        return None
    try:
        return GilReleasedWay(torch)
    except (OSError, AttributeError, TypeError):
        return None


def may_work(torch: Any) -> bool:
    """Whether platform and version are ones that it was tried on."""
    return (
        sys.platform == "linux"
        and platform.machine() == "x86_64"
        and str(torch.__version__).startswith(TRIED_VERSIONS)
        and bool(torch.compiled_with_cxx11_abi())
    )


def verdict(torch: Any) -> str:
    """What the self-test said of this build: `passed`, why it failed, or empty if not run."""
    path = verdict_path(torch)
    try:
        if os.stat(path).st_uid != os.getuid():
            return ""
        with open(path, encoding="utf-8") as file:
            return str(json.load(file)["verdict"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def verdict_path(torch: Any) -> str:
    """The verdict's file, by everything that it depends on."""
    library = os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so")
    try:
        status = os.stat(library)
        build = (status.st_size, status.st_mtime_ns)
    except OSError:
        build = (0, 0)
    what = (str(torch.__version__), library, build, sys.executable, sys.version, 1)
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:32]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "fwtop", "profiler-abi", key + ".json")
