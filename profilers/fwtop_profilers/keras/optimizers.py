"""Keras' optimizers: an eager update bounds a step, a traced one makes its function a step."""

from __future__ import annotations

import functools
from typing import Any, Callable

from fwtop_profilers.guard import Guard
from fwtop_profilers.whole_steps import WholeSteps

Hook = Callable[..., Any]

SEEN_BACKENDS = ("tensorflow", "torch")
"""Backends whose updates run in Python."""


def wrap_apply(original: Hook, steps: WholeSteps, guard: Guard, backend: str) -> Hook:
    """The optimizer's update, with its begin and end told where it runs eagerly."""
    begin, end = steps.optimizer_begin, steps.optimizer_end
    is_compiled = _compiling_test(backend)

    @functools.wraps(original)
    def apply(self: Any, *args: Any, **kwargs: Any) -> Any:
        if guard.off or is_compiled(steps):
            return original(self, *args, **kwargs)
        try:
            begin(id(self))
        except Exception as error:
            guard.fail(error)
        try:
            return original(self, *args, **kwargs)
        finally:
            try:
                end(id(self))
            except Exception as error:
                guard.fail(error)

    return apply


def wrap_init(original: Hook, steps: WholeSteps, guard: Guard) -> Hook:
    """An optimizer's `__init__`: the script means to train, with so many of them."""

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if not guard.off:
            steps.optimizer_made()

    return init


def _compiling_test(backend: str) -> Callable[[WholeSteps], bool]:
    """Whether the update is being traced rather than made: then it is no boundary."""
    if backend == "torch":
        import torch

        from fwtop_profilers.torch.untraced import compiling_test

        is_compiling = compiling_test(torch)
        return lambda steps: is_compiling()
    from fwtop_profilers.tensorflow import graphs

    return graphs.traced_update
