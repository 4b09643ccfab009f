"""PyTorch's boundaries: optimizer steps, backward, DataLoader fetches, gradient scalers.

Owns the hooks that feed the tape; holds no state of its own. A hook that Dynamo may trace asks
first what folds to True there (`untraced.compiling_test`), so it returns at once and leaves the
graph as it was. A wrapper looks to Dynamo like the function of torch's own that it wraps
(`patches.look_like`), which is never traced. Each has a guard, and passes arguments, results and
exceptions through untouched.

Backward is wrapped in `torch.autograd.backward` alone: `Tensor.backward` calls it, and left as it
is, it means the same to Dynamo and to `__torch_function__`. No module and no `.to()` is touched,
so transfers to the device are part of what surrounds them.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any, Callable, List

from fwtop_profilers.guard import Guard
from fwtop_profilers.plain_steps import Boundary
from fwtop_profilers.tape import Tape
from fwtop_profilers.torch.untraced import leave_alone
from fwtop_profilers.wraps import hide, wrap_fetch

Hook = Callable[..., Any]


def make_optimizer_hooks(tape: Tape, guard: Guard) -> List[Hook]:
    """The global hooks before and after an optimizer's step; none that Dynamo may trace."""
    append, clock, thread = tape.append, tape.clock, tape.thread
    begin, end = tape.steps.optimizer_begin, tape.steps.optimizer_end
    begun: Boundary = (begin, 0, "torch", ())
    ended: Boundary = (end, 0, "", ())

    def fwtop_optimizer_begin(optimizer: Any, args: Any, kwargs: Any) -> None:
        nonlocal begun
        if guard.off:
            return
        try:
            noted, key, by = begun, (id(optimizer),), thread()
            if noted[3] != key or noted[1] != by:
                noted = begun = (begin, by, "torch", key)
            at_ns = clock()
            append((at_ns, noted))
            if at_ns >= tape.due_ns:
                tape.play()
        except Exception as error:
            guard.fail(error)

    def fwtop_optimizer_end(optimizer: Any, args: Any, kwargs: Any) -> None:
        nonlocal ended
        if guard.off:
            return
        try:
            noted, key, by = ended, (id(optimizer),), thread()
            if noted[3] != key or noted[1] != by:
                noted = ended = (end, by, "", key)
            at_ns = clock()
            append((at_ns, noted))
            if at_ns >= tape.due_ns:
                tape.play()
        except Exception as error:
            guard.fail(error)

    return [fwtop_optimizer_begin, fwtop_optimizer_end]


def unless_compiling(hook: Hook, is_compiling: Callable[[], bool]) -> Hook:
    """An optimizer's hook that Dynamo may trace: it asks what Dynamo folds, and what Python takes
    ten microseconds for. So it serves in the plain one's stead once something is compiled."""

    def fwtop_unless_compiling(optimizer: Any, args: Any, kwargs: Any) -> None:
        if not is_compiling():
            hook(optimizer, args, kwargs)

    return fwtop_unless_compiling


def wrap_backward(original: Hook, tape: Tape, guard: Guard) -> Hook:
    """`torch.autograd.backward`, with its begin and end told."""
    append, clock, thread = tape.append, tape.clock, tape.thread
    begin, end = tape.steps.backward_begin, tape.steps.backward_end
    begun: Boundary = (begin, 0, "torch", ())
    ended: Boundary = (end, 0, "", ())

    @functools.wraps(original)
    def backward(*args: Any, **kwargs: Any) -> Any:
        nonlocal begun, ended
        if guard.off:
            return original(*args, **kwargs)
        try:
            noted, by = begun, thread()
            if noted[1] != by:
                noted = begun = (begin, by, "torch", ())
            at_ns = clock()
            append((at_ns, noted))
            if at_ns >= tape.due_ns:
                tape.play()
        except Exception as error:
            guard.fail(error)
        try:
            return original(*args, **kwargs)
        except BaseException as raised:
            hide(raised)
            raise
        finally:
            try:
                noted, by = ended, thread()
                if noted[1] != by:
                    noted = ended = (end, by, "", ())
                at_ns = clock()
                append((at_ns, noted))
                if at_ns >= tape.due_ns:
                    tape.play()
            except Exception as error:
                guard.fail(error)

    return backward


def wrap_next(original: Hook, tape: Tape, guard: Guard, torch: ModuleType) -> Hook:
    """A DataLoader iterator's `__next__`, with its wait and the size of its batch told."""
    trains, asks, tensor = torch.is_grad_enabled, (True,), torch.Tensor
    samples_of = make_samples_of(torch)
    return wrap_fetch(original, tape, guard, asks, trains, tensor, tensor.size, samples_of)


def wrap_iter(original: Hook, tape: Tape, guard: Guard, torch: ModuleType) -> Hook:
    """`DataLoader.__iter__`: starting workers is waiting for input too."""
    begin, end = tape.input_begin, tape.input_end
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
                end(None, True, False, id(iterator))
            except Exception as error:
                guard.fail(error)
        return iterator

    return make_iterator


def wrap_scaler_step(
    original: Hook,
    tape: Tape,
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
        guard.run(lambda: tape.scaler_begin(key))
        try:
            result = original(self, optimizer, *args, **kwargs)
        except BaseException as raised:
            hide(raised)
            guard.run(lambda: tape.scaler_end(key, True))
            raise
        certain = eval_frame_callback() is None
        guard.run(lambda: tape.scaler_end(key, False, certain))
        return result

    return step


def make_module_hooks(tape: Tape, guard: Guard, is_compiling: Callable[[], bool]) -> List[Hook]:
    """Global hooks around every module's forward, for `--step-on forward` alone: they cost each
    module call about two microseconds."""
    begin, end = tape.unit_begin, tape.unit_end

    def fwtop_forward_begin(module: Any, args: Any) -> None:
        if is_compiling() or guard.off:
            return
        try:
            if not tape.steps.builds(args):
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
            return batch.size(0) if batch.ndim else None
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
