"""PyTorch's probe: hooks put in once the script has imported torch, taken out again on demand.

Owns which hooks there are and in what order they come and go. A part that cannot be put in (an
older torch, a missing name) is told of in `Framework.hooks` and leaves the others alone. torch is
imported nowhere before the script has done so.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any, Callable, Dict, List, Tuple

from fwtop_profilers import (
    cycles,
    fetches,
    hook_cost,
    import_hook,
    open_step,
    step_log,
    step_rules,
    whole_steps,
    wire,
)
from fwtop_profilers import guard as guard_module
from fwtop_profilers import steps as steps_module
from fwtop_profilers.guard import Guard
from fwtop_profilers.patches import Patches
from fwtop_profilers.probe import Context
from fwtop_profilers.step_calls import StepCalls
from fwtop_profilers.steps import StepTracker
from fwtop_profilers.torch import distributed, memory, step_hooks, updates
from fwtop_profilers.torch.cuda_events import CudaEvents
from fwtop_profilers.torch.untraced import (
    compiling_test,
    eval_frame_callback,
    functions_of,
    leave_alone,
)
from fwtop_profilers.torch.updates import Updates

POLL_S = 1.0


def make_probe(context: Context, framework: ModuleType) -> TorchProbe:
    """The probe of this process's torch."""
    return TorchProbe(context, framework)


class TorchProbe:
    """All of PyTorch's hooks in one process."""

    def __init__(self, context: Context, torch: ModuleType) -> None:
        self._context = context
        self._torch = torch
        self._patches = Patches()
        self._undo: List[Callable[[], None]] = []
        self._hooks: Dict[str, str] = {}
        self._updates = Updates()
        self._group = distributed.Group()
        self._is_compiling = compiling_test(torch)
        self._device = ""
        self._told: Any = None
        self._watches_oom = False
        self._installed = False
        self._events = CudaEvents(torch, context.steps, Guard(context, "cuda events"))

    def install(self) -> None:
        """Put every hook in; idempotent."""
        if self._installed:
            return
        self._installed = True
        for name, install in (
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
        ):
            self._part(name, install)
        self._tell()  # now: a child that trains for a moment may not live to be asked
        self._context.sender.every(POLL_S, self._poll)
        self._context.on_fork.append(self._forked)

    def uninstall(self) -> None:
        """Take every hook out; safe to call twice."""
        while self._undo:
            undo = self._undo.pop()
            try:
                undo()
            except Exception as error:
                self._context.fail("uninstall", error)
        self._patches.undo()
        self._installed = False

    # --- the parts ------------------------------------------------------------------------------

    def _part(self, name: str, install: Callable[[], str]) -> None:
        """Install one part; what it returns, or why it failed, is told in `Framework.hooks`."""
        try:
            how = install()
        except Exception as error:
            self._context.fail(name, error)
            how = "failed: " + repr(error)[:200]
        if how:
            self._hooks[name] = how

    def _leave_alone(self) -> str:
        """The probe's functions are none that Dynamo should compile."""
        modules = (steps_module, step_rules, whole_steps, open_step, cycles, fetches, step_log)
        functions = list(functions_of(*modules, guard_module, updates, step_hooks))
        leave_alone(self._torch, functions_of(import_hook), deep=False)
        return leave_alone(self._torch, [*functions, self._optimizer_made])

    def _install_optimizer(self) -> str:
        steps, guard = self._context.steps, Guard(self._context, "optimizer")
        module = importlib.import_module("torch.optim.optimizer")  # not an attribute of torch.optim
        begin, end = step_hooks.make_optimizer_hooks(steps, guard, self._is_compiling)
        leave_alone(self._torch, (begin, end))
        for handle in (
            module.register_optimizer_step_pre_hook(begin),
            module.register_optimizer_step_post_hook(end),
        ):
            self._undo.append(handle.remove)
        made = self._optimizer_made
        self._patches.replace(
            module.Optimizer, "__init__", lambda init: step_hooks.wrap_init(init, made, guard)
        )
        steps.parameters_changed = self._updates.changed
        steps.on_backward_end = self._updates.backward_ended
        return "global step hooks"

    def _optimizer_made(self, optimizer: Any) -> None:
        self._context.steps.optimizer_made()
        self._updates.add(optimizer)

    def _install_backward(self) -> str:
        steps, guard = self._context.steps, Guard(self._context, "backward")
        self._patches.replace(
            self._torch.autograd,
            "backward",
            lambda original: step_hooks.wrap_backward(original, steps, guard),
        )
        return "torch.autograd.backward"

    def _install_input(self) -> str:
        name = "torch.utils.data.dataloader"
        import_hook.when_imported(name, lambda module: self._part("input", self._wrap_loader))
        self._undo.append(lambda: import_hook.forget(name))
        return self._hooks.get("input", "")

    def _wrap_loader(self) -> str:
        module: Any = sys.modules["torch.utils.data.dataloader"]
        steps, guard = self._context.steps, Guard(self._context, "input")
        self._patches.replace(
            module._BaseDataLoaderIter,
            "__next__",
            lambda original: step_hooks.wrap_next(original, steps, guard, self._torch),
        )
        self._patches.replace(
            module.DataLoader,
            "__iter__",
            lambda original: step_hooks.wrap_iter(original, steps, guard, self._torch),
        )
        return "DataLoader iterators"

    def _install_scaler(self) -> str:
        scaler = getattr(getattr(self._torch, "amp", None), "GradScaler", None)
        if scaler is None:
            scaler = self._torch.cuda.amp.GradScaler
        steps, guard = self._context.steps, Guard(self._context, "scaler")
        watching = eval_frame_callback(self._torch)
        self._patches.replace(
            scaler,
            "step",
            lambda original: step_hooks.wrap_scaler_step(original, steps, guard, watching),
        )
        return "GradScaler.step"

    def _install_forward(self) -> str:
        if self._context.steps.source != "forward":
            return ""
        steps, guard = self._context.steps, Guard(self._context, "forward")
        module = self._torch.nn.modules.module
        begin, end = step_hooks.make_module_hooks(steps, guard, self._is_compiling)
        leave_alone(self._torch, (begin, end))
        self._undo.append(module.register_module_forward_pre_hook(begin).remove)
        self._undo.append(module.register_module_forward_hook(end).remove)
        return "global module hooks"

    def _install_call(self) -> str:
        calls = StepCalls(self._context.steps, self._is_compiling)
        calls.install()
        self._undo.append(calls.uninstall)
        source = self._context.steps.source or ""
        return source if source.startswith("call:") else ""

    def _install_events(self) -> str:
        if not getattr(getattr(self._torch, "version", None), "cuda", None):
            return ""
        self._events.install()
        self._undo.append(self._events.uninstall)
        self._context.sender.sources.append(self._events.drain)
        self._context.on_fork.append(self._events.forked)
        return "CUDA events"

    def _install_windows(self) -> str:
        from fwtop_profilers.torch import windows

        self._undo.append(windows.install(self._context))
        return windows.describe()

    def _install_compile_events(self) -> str:
        compile_events = importlib.import_module("fwtop_profilers.torch.compile_events")
        self._undo.append(compile_events.install(self._context))
        return "structured trace"

    # --- once a second, on the sender's thread --------------------------------------------------

    def _poll(self) -> None:
        steps = self._context.steps
        if steps.index and not steps.hook_call_cost_ns:
            steps.hook_call_cost_ns = hook_cost.calibrate(*self._rehearsal())
        rank = self._group.news()
        if rank is not None:
            self._context.send(rank)
        for reading in memory.readings(self._torch):
            self._context.send(reading)
            self._device = self._device or reading.device
        if memory.cuda_in_use(self._torch) and not self._watches_oom:
            self._watches_oom = True
            memory.watch_for_oom(self._torch, self._context.send)
        if steps.index and not self._device:
            self._device = self._updates.device() or "cpu"
        self._tell()

    def _tell(self) -> None:
        """Send `Framework` if anything of it is news."""
        hooks = dict(self._hooks)
        windows = sys.modules.get("fwtop_profilers.torch.windows")
        if windows is not None and "windows" in hooks:
            hooks["windows"] = windows.describe()  # a way is found out about while it is used
        framework = wire.Framework(
            name="torch",
            version=str(self._torch.__version__),
            hooks=hooks,
            device=self._device or None,
            device_uuid=self._uuid(),
        )
        if framework != self._told:
            self._told = framework
            self._context.send(framework)

    def _uuid(self) -> Any:
        if not self._device.startswith("cuda:") or not memory.cuda_in_use(self._torch):
            return None
        index = int(self._device.partition(":")[2])
        uuid = getattr(self._torch.cuda.get_device_properties(index), "uuid", None)
        return None if uuid is None else "GPU-" + str(uuid)

    def _forked(self) -> None:
        self._told = None
        self._device = ""
        self._group = distributed.Group()

    def _rehearsal(self) -> Tuple[Callable[[], None], int]:
        """The hooks of a plain step, on a tracker of their own, and how many calls they are."""
        steps, guard = StepTracker(), Guard(self._context, "rehearsal")
        begin, end = step_hooks.make_optimizer_hooks(steps, guard, self._is_compiling)
        backward = step_hooks.wrap_backward(lambda: None, steps, guard)
        fetch = step_hooks.wrap_next(lambda iterator: None, steps, guard, self._torch)
        optimizer = object()

        def step() -> None:
            fetch(optimizer)
            backward()
            begin(optimizer, (), {})
            end(optimizer, (), {})

        return step, 6
