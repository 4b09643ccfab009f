"""TensorFlow's probe: hooks put in once the script has imported tensorflow.

Owns which hooks there are and in what order they come and go. A part that cannot be put in (an
older version, a missing name) is told of in `Framework.hooks` and leaves the others alone. Private
modules are looked up, never imported before the script's own import has loaded them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Tuple

from fwtop_profilers import hook_cost, wire
from fwtop_profilers.guard import Guard
from fwtop_profilers.patches import Patches
from fwtop_profilers.probe import Context
from fwtop_profilers.step_calls import StepCalls
from fwtop_profilers.tensorflow import graphs, memory, ranks, step_hooks, windows
from fwtop_profilers.tensorflow.tracing import Tracing
from fwtop_profilers.whole_steps import WholeSteps

POLL_S = 1.0
MEMORY = "tensorflow memory"
FUNCTION = "tensorflow.python.eager.polymorphic_function.polymorphic_function"
TRACING = "tensorflow.python.eager.polymorphic_function.tracing_compilation"
AUTOGRAPH = "tensorflow.python.autograph.impl.api"
TAPE = "tensorflow.python.eager.backprop"
ITERATORS = (
    ("tensorflow.python.data.ops.iterator_ops", "OwnedIterator"),
    ("tensorflow.python.distribute.input_lib", "DistributedIteratorBase"),
)


def make_probe(context: Context, framework: ModuleType) -> TensorFlowProbe:
    """The probe of this process's TensorFlow."""
    return TensorFlowProbe(context, framework)


class TensorFlowProbe:
    """All of TensorFlow's hooks in one process."""

    def __init__(self, context: Context, tensorflow: ModuleType) -> None:
        self._context = context
        self._tensorflow = tensorflow
        self._patches = Patches()
        self._undo: List[Callable[[], None]] = []
        self._hooks: Dict[str, str] = {}
        self._told: Any = None
        self._device = ""
        self._tracing: Optional[Tracing] = None
        self._installed = False

    def install(self) -> None:
        """Put every hook in; idempotent."""
        if self._installed:
            return
        self._installed = True
        for name, install in (
            ("compile", self._install_tracing),
            ("function", self._install_function),
            ("backward", self._install_tape),
            ("input", self._install_iterators),
            ("call", self._install_call),
            ("windows", self._install_windows),
            ("rank", self._install_rank),
        ):
            self._part(name, install)
        self._context.sender.every(POLL_S, self._poll)
        self._context.on_fork.append(self._forked)

    def uninstall(self) -> None:
        """Take every hook out; safe to call twice."""
        while self._undo:
            undo = self._undo.pop()
            try:
                undo()
            except Exception as error:
                self._context.fail("tensorflow uninstall", error)
        self._patches.undo()
        self._installed = False

    # --- the parts ------------------------------------------------------------------------------

    def _part(self, name: str, install: Callable[[Guard], str]) -> None:
        """Install one part; what it returns, or why it failed, is told in `Framework.hooks`."""
        hook = "tensorflow " + name
        try:
            how = install(Guard(self._context, hook))
        except Exception as error:
            self._context.fail(hook, error)
            how = "failed: " + repr(error)[:200]
        if how:
            self._hooks[name] = how

    def _install_tracing(self, guard: Guard) -> str:
        self._tracing = tracing = Tracing(self._context, guard, windows.compile_began)
        self._patches.replace(_loaded(TRACING), "_create_concrete_function", tracing.wrap_create)
        autograph = sys.modules.get(AUTOGRAPH)
        if not hasattr(autograph, "_fall_back_unconverted"):
            return "traces"
        self._patches.replace(autograph, "_fall_back_unconverted", tracing.wrap_fallback)
        return "traces, AutoGraph's fallbacks"

    def _install_function(self, guard: Guard) -> str:
        steps, tracing = self._context.steps, self._tracing
        if tracing is None:
            return "none: traces are not seen"
        self._patches.replace(
            _loaded(FUNCTION).Function,
            "__call__",
            lambda original: step_hooks.wrap_function_call(original, steps, guard, tracing),
        )
        return "Function.__call__"

    def _install_tape(self, guard: Guard) -> str:
        steps = self._context.steps
        self._patches.replace(
            _loaded(TAPE).GradientTape,
            "gradient",
            lambda original: step_hooks.wrap_gradient(original, steps, guard),
        )
        others = steps.parameters_changed

        def changed() -> Optional[bool]:
            if steps.framework == "tensorflow" or others is None:
                return False if steps.awaits_optimizer() else None
            return others()

        steps.parameters_changed = changed
        return "GradientTape.gradient"

    def _install_iterators(self, guard: Guard) -> str:
        steps = self._context.steps
        found = []
        for module, name in ITERATORS:
            owner = getattr(sys.modules.get(module), name, None)
            if owner is not None:
                self._patches.replace(
                    owner,
                    "__next__",
                    lambda original: step_hooks.wrap_next(original, steps, guard),
                )
                found.append(name)
        return ", ".join(found) or "none: this version's iterators are not known"

    def _install_call(self, guard: Guard) -> str:
        calls = StepCalls(self._context.steps, lambda: not graphs.is_eager())
        calls.install()
        self._undo.append(calls.uninstall)
        source = self._context.steps.source or ""
        return source if source.startswith("call:") else ""

    def _install_windows(self, guard: Guard) -> str:
        self._undo.append(windows.install(self._context, self._tensorflow))
        return windows.describe()

    def _install_rank(self, guard: Guard) -> str:
        place = ranks.from_tf_config()
        if place is None:
            return ""
        self._context.send(place)
        return "TF_CONFIG"

    # --- once a second, on the sender's thread --------------------------------------------------

    def _poll(self) -> None:
        steps = self._context.steps
        if steps.index and not steps.hook_call_cost_ns:
            steps.hook_call_cost_ns = hook_cost.calibrate(*self._rehearsal())
        if not self._context.disabled(MEMORY):
            self._read_memory()
        self._tell()

    def _read_memory(self) -> None:
        try:
            for reading in memory.readings(self._tensorflow):
                self._context.send(reading)
                self._device = self._device or reading.device
        except Exception as error:
            self._context.fail(MEMORY, error)
        steps = self._context.steps
        if steps.index and steps.framework == "tensorflow":
            self._device = self._device or "cpu"

    def _tell(self) -> None:
        """Send `Framework` if anything of it is news."""
        framework = wire.Framework(
            name="tensorflow",
            version=str(getattr(self._tensorflow, "__version__", "")),
            hooks=dict(self._hooks),
            device=self._device or None,
        )
        if framework != self._told:
            self._told = framework
            self._context.send(framework)

    def _forked(self) -> None:
        self._told = None
        self._device = ""

    def _rehearsal(self) -> Tuple[Callable[[], None], int]:
        """The hooks of a plain step, on a tracker of their own, and how many calls they are."""
        steps, guard = WholeSteps(), Guard(self._context, "rehearsal")
        backward = step_hooks.wrap_gradient(lambda tape: None, steps, guard)
        fetch = step_hooks.wrap_next(lambda iterator: None, steps, guard)

        def step() -> None:
            fetch(steps)
            backward(steps)
            steps.optimizer_begin(1)
            steps.optimizer_end(1)

        return step, 6


def _loaded(name: str) -> Any:
    """A module that the script's import has loaded. Raises ImportError."""
    module = sys.modules.get(name)
    if module is None:
        raise ImportError("this version of TensorFlow has no %s" % name)
    return module
