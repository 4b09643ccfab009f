"""PyTorch's probe: hooks put in once the script has imported torch, taken out again on demand.

Owns which hooks there are and in what order they come and go. A part that cannot be put in (an
older torch, a missing name) is told of in `Framework.hooks` and leaves the others alone. torch is
imported nowhere before the script has done so.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from fwtop_profilers import (
    compiled_calls,
    cycles,
    fetches,
    import_hook,
    open_step,
    plain_steps,
    step_log,
    step_rules,
    whole_steps,
    wraps,
)
from fwtop_profilers import guard as guard_module
from fwtop_profilers import steps as steps_module
from fwtop_profilers import tape as tape_module
from fwtop_profilers.framework_probe import FrameworkProbe, Install, Rehearsal
from fwtop_profilers.guard import Guard
from fwtop_profilers.hook_cost import Work
from fwtop_profilers.probe import Context
from fwtop_profilers.tape import Tape
from fwtop_profilers.torch import distributed, memory, step_hooks, updates
from fwtop_profilers.torch.cuda_events import CudaEvents
from fwtop_profilers.torch.untraced import (
    compiling_test,
    eval_frame_callback,
    functions_of,
    leave_alone,
)
from fwtop_profilers.torch.updates import Updates


def make_probe(context: Context, framework: ModuleType) -> TorchProbe:
    """The probe of this process's torch."""
    return TorchProbe(context, framework)


class TorchProbe(FrameworkProbe):
    """All of PyTorch's hooks in one process."""

    def __init__(self, context: Context, torch: ModuleType) -> None:
        super().__init__(context, torch)
        self._updates = Updates()
        self._group = distributed.Group()
        self._is_compiling = compiling_test(torch)  # type: ignore[method-assign]
        self._watches_oom = False
        self._events = CudaEvents(torch, context.steps, Guard(context, "cuda events"))

    def _parts(self) -> Sequence[Tuple[str, Install]]:
        return (
            ("dynamo", self._leave_alone),
            ("optimizer", self._install_optimizer),
            ("backward", self._install_backward),
            ("input", self._install_input),
            ("scaler", self._install_scaler),
            ("forward", self._install_forward),
            ("call", self._install_call),
            ("device steps", self._install_events),
            ("windows", self._install_windows),
            ("compile", self._install_compile_events),
        )

    # --- the parts ------------------------------------------------------------------------------

    def _leave_alone(self, guard: Guard) -> str:
        """The probe's functions are none that Dynamo should compile."""
        modules = (steps_module, step_rules, compiled_calls, whole_steps, open_step, cycles)
        others = (plain_steps, fetches, step_log, guard_module, tape_module, updates)
        functions = list(functions_of(*modules, *others, step_hooks, wraps))
        leave_alone(self._framework, functions_of(import_hook), deep=False)
        tape = self._context.tape  # all that it notes is noted by one of two functions
        told = (tape.optimizer_begin, tape.flag, self._optimizer_made)
        return leave_alone(self._framework, [*functions, *told])

    def _install_optimizer(self, guard: Guard) -> str:
        tape = self._context.tape
        module = importlib.import_module("torch.optim.optimizer")  # not an attribute of torch.optim
        plain = step_hooks.make_optimizer_hooks(tape, guard)
        checked = [step_hooks.unless_compiling(hook, self._is_compiling) for hook in plain]
        leave_alone(self._framework, (*plain, *checked))
        before = module._global_optimizer_pre_hooks
        after = module._global_optimizer_post_hooks
        handles = (
            module.register_optimizer_step_pre_hook(plain[0]),
            module.register_optimizer_step_post_hook(plain[1]),
        )
        self._undo += [handle.remove for handle in handles]

        def check() -> None:
            for handle, hooks, hook in zip(handles, (before, after), checked, strict=True):
                if handle.id in hooks:
                    hooks[handle.id] = hook

        self._before_compiling(check)
        made = self._optimizer_made
        self._patches.replace(
            module.Optimizer, "__init__", lambda init: wraps.wrap_made(init, made, guard)
        )
        tape.steps.updates["torch"] = self._updates
        return "global step hooks"

    def _before_compiling(self, task: Callable[[], None]) -> None:
        """Have it done before Dynamo traces anything: at once, where that cannot be noticed."""

        def watch(module: Any, guard: Guard) -> str:
            context = getattr(module, "OptimizeContext", None)
            if context is None:
                task()
            else:
                self._patches.replace(
                    context,
                    "__init__",
                    lambda init: wraps.wrap_made(init, lambda made: task(), guard),
                )
            return ""

        self._part_when("compiling", "torch._dynamo.eval_frame", watch)

    def _optimizer_made(self, optimizer: Any) -> None:
        self._context.tape.optimizer_made()
        self._updates.add(optimizer)

    def _install_backward(self, guard: Guard) -> str:
        tape = self._context.tape
        self._patches.replace(
            self._framework.autograd,
            "backward",
            lambda original: step_hooks.wrap_backward(original, tape, guard),
        )
        return "torch.autograd.backward"

    def _install_input(self, guard: Guard) -> str:
        self._part_when("input", "torch.utils.data.dataloader", self._wrap_loader)
        return self._hooks.get("input", "")

    def _wrap_loader(self, module: Any, guard: Guard) -> str:
        tape = self._context.tape
        self._patches.replace(
            module._BaseDataLoaderIter,
            "__next__",
            lambda original: step_hooks.wrap_next(original, tape, guard, self._framework),
        )
        self._patches.replace(
            module.DataLoader,
            "__iter__",
            lambda original: step_hooks.wrap_iter(original, tape, guard, self._framework),
        )
        return "DataLoader iterators"

    def _install_scaler(self, guard: Guard) -> str:
        scaler = getattr(getattr(self._framework, "amp", None), "GradScaler", None)
        if scaler is None:
            scaler = self._framework.cuda.amp.GradScaler
        tape = self._context.tape
        watching = eval_frame_callback(self._framework)
        self._patches.replace(
            scaler,
            "step",
            lambda original: step_hooks.wrap_scaler_step(original, tape, guard, watching),
        )
        return "GradScaler.step"

    def _install_forward(self, guard: Guard) -> str:
        if self._context.steps.source != "forward":
            return ""
        tape = self._context.tape
        module = self._framework.nn.modules.module
        begin, end = step_hooks.make_module_hooks(tape, guard, self._is_compiling)
        leave_alone(self._framework, (begin, end))
        self._undo.append(module.register_module_forward_pre_hook(begin).remove)
        self._undo.append(module.register_module_forward_hook(end).remove)
        return "global module hooks"

    def _install_events(self, guard: Guard) -> str:
        if not getattr(getattr(self._framework, "version", None), "cuda", None):
            return ""
        self._events.install()
        self._undo.append(self._events.uninstall)
        self._context.sender.sources.append(self._events.drain)
        self._context.on_fork.append(self._events.forked)
        return "CUDA events"

    def _install_windows(self, guard: Guard) -> str:
        from fwtop_profilers.torch import windows

        self._undo.append(windows.install(self._context))
        return windows.describe()

    def _install_compile_events(self, guard: Guard) -> str:
        compile_events = importlib.import_module("fwtop_profilers.torch.compile_events")
        self._undo.append(compile_events.install(self._context))
        return "structured trace"

    # --- once a second, on the sender's thread --------------------------------------------------

    def _look(self) -> None:
        rank = self._group.news()
        if rank is not None:
            self._context.send(rank)
        for reading in memory.readings(self._framework):
            self._context.send(reading)
            self._device = self._device or reading.device
        if memory.cuda_in_use(self._framework) and not self._watches_oom:
            self._watches_oom = True
            memory.watch_for_oom(self._framework, self._context.send)
        if self._context.steps.index and not self._device:
            self._device = self._updates.device() or "cpu"

    def _described(self) -> Dict[str, str]:
        hooks = dict(self._hooks)
        windows = sys.modules.get("fwtop_profilers.torch.windows")
        if windows is not None and "windows" in hooks:
            hooks["windows"] = windows.describe()  # a way is found out about while it is used
        return hooks

    def _device_uuid(self) -> Optional[str]:
        if not self._device.startswith("cuda:") or not memory.cuda_in_use(self._framework):
            return None
        index = int(self._device.partition(":")[2])
        uuid = getattr(self._framework.cuda.get_device_properties(index), "uuid", None)
        return None if uuid is None else "GPU-" + str(uuid)

    def _forked(self) -> None:
        super()._forked()
        self._group = distributed.Group()

    def _rehearsal(self) -> Rehearsal:
        """The hooks of a plain step, on a tape of their own, and how many calls they are."""
        tape, guard = Tape(), Guard(self._context, "rehearsal")
        tape.optimizer_made()
        begin, end = step_hooks.make_optimizer_hooks(tape, guard)
        optimizer = object()

        def rehearsal(work: Work) -> Callable[[], None]:
            backward = step_hooks.wrap_backward(work, tape, guard)
            fetch = step_hooks.wrap_next(work, tape, guard, self._framework)

            def step() -> None:
                fetch(optimizer)
                work()
                backward()
                work()
                begin(optimizer, (), {})
                work()
                end(optimizer, (), {})

            return step

        return rehearsal, 6
