"""PyTorch's own profiler, driven by its private functions, with fallbacks for older versions.

Owns how a trace is started, stopped and saved; not when. Never `events()` or `key_averages()`:
those build a Python object an event (4.9 s per 100,000). `result.save` writes JSON in C++.

`stop` runs on the thread that started: the profiler's state is thread-local, and so nothing can
run beside it. Both `stop` and `save` hold the GIL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Protocol

from fwtop_profilers.torch.quiet import Quiet


@dataclass(frozen=True)
class Detail:
    """What a trace holds besides operators and kernels."""

    deep: bool
    """Shapes, stacks, modules, memory and FLOPs: a stop that is five times as dear."""
    cuda: bool


class Way(Protocol):
    """One way to take a trace. `start`, `stop` and `abort` run on the training thread."""

    name: str
    stop_is_short: bool
    """`stop` only ends the recording, and `save` does the rest without the GIL."""

    def start(self, detail: Detail) -> None:
        """Begin to record."""

    def stop(self) -> Any:
        """Stop recording; what `save` takes."""

    def save(self, result: Any, path: str) -> None:
        """Write the trace as JSON; raises OSError or RuntimeError. Runs on any thread."""

    def abort(self) -> None:
        """Stop and throw away."""


class PlainWay:
    """`_prepare_profiler`, `_enable_profiler`, `_disable_profiler` and `result.save`."""

    name = "plain"
    stop_is_short = False

    def __init__(self, torch: Any) -> None:
        """Raises AttributeError where this torch has no such functions."""
        functions, self._types = torch._C._autograd, torch._C._profiler
        self._prepare = functions._prepare_profiler
        self._enable = functions._enable_profiler
        self._disable = functions._disable_profiler
        self._quiet = Quiet(torch)
        self._activities = self._types.ProfilerActivity
        self._config(Detail(deep=False, cuda=False))

    def start(self, detail: Detail) -> None:
        """Begin to record on this thread, and on autograd's for what it does here."""
        config = self._config(detail)
        activities = {self._activities.CPU}
        if detail.cuda:
            activities.add(self._activities.CUDA)
        with self._quiet.first_prepare():
            self._prepare(config, activities)
        if detail.deep:
            self._quiet.hush_memory()
        with self._quiet.held():
            self._enable(config, activities)

    def stop(self) -> Any:
        """The profiler's result object."""
        try:
            with self._quiet.held():
                return self._disable()
        finally:
            self._quiet.unhush_memory()

    def save(self, result: Any, path: str) -> None:
        """Write the result as JSON."""
        with self._quiet.held():
            result.save(path)

    def abort(self) -> None:
        """Stop and throw away."""
        self.stop()

    def _config(self, detail: Detail) -> Any:
        """Memory is left out where c10 would warn of blocks from before the window."""
        deep, state = detail.deep, self._types.ProfilerState.KINETO
        memory = deep and self._quiet.covers_c10
        return self._types.ProfilerConfig(
            state, deep, memory, deep, deep, deep, self._experimental(detail)
        )

    def _experimental(self, detail: Detail) -> Any:
        """`trace_only` halves the cost of a stop, but cannot go with stacks; 2.13 has it."""
        if not detail.deep:
            try:
                return self._types._ExperimentalConfig(trace_only=True)
            except TypeError:
                pass
        return self._types._ExperimentalConfig()


class PublicWay:
    """`torch.profiler.profile`, where the private functions are not what we know."""

    name = "public"
    stop_is_short = False

    def __init__(self, torch: Any) -> None:
        """Raises AttributeError without a `torch.profiler`."""
        self._profiler = torch.profiler
        self._profile: Optional[Any] = None

    def start(self, detail: Detail) -> None:
        """Begin to record."""
        kinds = self._profiler.ProfilerActivity
        activities = [kinds.CPU, kinds.CUDA] if detail.cuda else [kinds.CPU]
        self._profile = self._profiler.profile(
            activities=activities,
            record_shapes=detail.deep,
            profile_memory=detail.deep,
            with_stack=detail.deep,
            with_flops=detail.deep,
            with_modules=detail.deep,
        )
        self._profile.start()

    def stop(self) -> Any:
        """The stopped `profile`."""
        profile, self._profile = self._profile, None
        if profile is not None:
            profile.stop()
        return profile

    def save(self, result: Any, path: str) -> None:
        """Write it as JSON."""
        result.export_chrome_trace(path)

    def abort(self) -> None:
        """Stop and throw away."""
        self.stop()


def choose(torch: Any) -> Optional[Way]:
    """The best way that this torch has, or None."""
    for way in (PlainWay, PublicWay):
        try:
            made: Way = way(torch)
        except (AttributeError, TypeError):
            continue
        return made
    return None
