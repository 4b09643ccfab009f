"""PyTorch's boundaries: optimizer steps, backward, DataLoader fetches, gradient scalers.

Owns the hooks that feed `WholeSteps`; holds no state of its own. A hook that Dynamo may trace
first asks `torch.compiler.is_dynamo_compiling()`, which folds to True there: so it returns at once
and leaves the graph as it was. A wrapper looks to Dynamo like the function of torch's own that it
wraps (`patches.look_like`), which is never traced. Each has a guard, and passes arguments, results
and exceptions through untouched.

Backward is wrapped in `torch.autograd.backward` alone: `Tensor.backward` calls it, and left as it
is, it means the same to Dynamo and to `__torch_function__`. No module and no `.to()` is touched,
so transfers to the device are part of what surrounds them.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any, Callable, List

from fwtop_profilers.guard import Guard
from fwtop_profilers.torch.untraced import leave_alone
from fwtop_profilers.whole_steps import WholeSteps
from fwtop_profilers.wraps import hide, wrap_fetch

Hook = Callable[..., Any]


def make_optimizer_hooks(
    steps: WholeSteps, guard: Guard, is_compiling: Callable[[], bool]
) -> List[Hook]:
    """The global hooks before and after an optimizer's step."""
    begin, end = steps.optimizer_begin, steps.optimizer_end

    def fwtop_optimizer_begin(optimizer: Any, args: Any, kwargs: Any) -> None:
        if is_compiling() or guard.off:
            return
        try:
            steps.framework = "torch"
            begin(id(optimizer))
        except Exception as error:
            guard.fail(error)

    def fwtop_optimizer_end(optimizer: Any, args: Any, kwargs: Any) -> None:
        if is_compiling() or guard.off:
            return
        try:
            end(id(optimizer))
        except Exception as error:
            guard.fail(error)

    return [fwtop_optimizer_begin, fwtop_optimizer_end]


def wrap_backward(original: Hook, steps: WholeSteps, guard: Guard) -> Hook:
    """`torch.autograd.backward`, with its begin and end told."""
    begin, end = steps.backward_begin, steps.backward_end

    @functools.wraps(original)
    def backward(*args: Any, **kwargs: Any) -> Any:
        if guard.off:
            return original(*args, **kwargs)
        try:
            steps.framework = "torch"
            begin()
        except Exception as error:
            guard.fail(error)
        try:
            return original(*args, **kwargs)
        except BaseException as raised:
            hide(raised)
            raise
        finally:
            try:
                end()
            except Exception as error:
                guard.fail(error)

    return backward


def wrap_next(original: Hook, steps: WholeSteps, guard: Guard, torch: ModuleType) -> Hook:
    """A DataLoader iterator's `__next__`, with its wait and the size of its batch told."""
    trains, samples_of = torch.is_grad_enabled, make_samples_of(torch)
    return wrap_fetch(original, steps.input_begin, steps.input_end, guard, trains, samples_of)


def wrap_iter(original: Hook, steps: WholeSteps, guard: Guard, torch: ModuleType) -> Hook:
    """`DataLoader.__iter__`: starting workers is waiting for input too."""
    begin, end = steps.input_begin, steps.input_end
    is_grad_enabled = torch.is_grad_enabled

    @functools.wraps(original)
    def make_iterator(self: Any) -> Any:
        if guard.off:
            return original(self)
        try:
            begin(0, is_grad_enabled())
        except Exception as error:
            guard.fail(error)
        iterator = None
        try:
            iterator = original(self)
        except BaseException as raised:
            hide(raised)
            raise
        finally:
            try:
                end(None, batch=False, key=id(iterator))
            except Exception as error:
                guard.fail(error)
        return iterator

    return make_iterator


def wrap_scaler_step(
    original: Hook,
    steps: WholeSteps,
    guard: Guard,
    eval_frame_callback: Callable[[], Any],
) -> Hook:
    """`GradScaler.step`, which may skip the optimizer's step: that is a step all the same.

    With Dynamo watching, the optimizer's step may be compiled, so that its hooks say nothing.
    """

    @functools.wraps(original)
    def step(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if guard.off:
            return original(self, optimizer, *args, **kwargs)
        key = id(optimizer)
        guard.run(lambda: steps.scaler_begin(key))
        try:
            result = original(self, optimizer, *args, **kwargs)
        except BaseException as raised:
            hide(raised)
            guard.run(lambda: steps.scaler_end(key, raised=True))
            raise
        certain = eval_frame_callback() is None
        guard.run(lambda: steps.scaler_end(key, certain=certain))
        return result

    return step


def make_module_hooks(
    steps: WholeSteps, guard: Guard, is_compiling: Callable[[], bool]
) -> List[Hook]:
    """Global hooks around every module's forward, for `--step-on forward` alone: they cost each
    module call about two microseconds."""
    begin, end = steps.unit_begin, steps.unit_end

    def fwtop_forward_begin(module: Any, args: Any) -> None:
        if is_compiling() or guard.off:
            return
        try:
            if not steps.builds(args):
                begin(id(module))
        except Exception as error:
            guard.fail(error)

    def fwtop_forward_end(module: Any, args: Any, output: Any) -> None:
        if is_compiling() or guard.off:
            return
        try:
            end(id(module))
        except Exception as error:
            guard.fail(error)

    return [fwtop_forward_begin, fwtop_forward_end]


def make_samples_of(torch: ModuleType, max_depth: int = 3) -> Callable[[Any], Any]:
    """A function that gives a batch's size: the first dimension of its first tensor, or None."""
    tensor = torch.Tensor

    def samples_of(batch: Any, depth: int = 0) -> Any:
        if type(batch) is tensor:
            return batch.shape[0] if batch.ndim else None
        if depth >= max_depth:
            return None
        if isinstance(batch, dict):
            items = list(batch.values())[:8]
        elif isinstance(batch, (list, tuple)):
            items = list(batch[:8])
        elif isinstance(
            getattr(batch, "__dict__", {}).get("data"), dict
        ):  # UserDict, BatchEncoding
            items = list(batch.__dict__["data"].values())[:8]
        else:
            return None
        for item in items:
            size = samples_of(item, depth + 1)
            if size is not None:
                return size
        return None

    leave_alone(torch, (samples_of,))
    return samples_of
