"""TensorFlow's probe: hooks put in once the script has imported tensorflow.

Owns which hooks there are and in what order they come and go. A part that cannot be put in (an
older version, a missing name) is told of in `Framework.hooks` and leaves the others alone. Private
modules are looked up, never imported before the script's own import has loaded them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Callable, Optional, Sequence, Tuple

from fwtop_profilers import wraps
from fwtop_profilers.framework_probe import FrameworkProbe, Install, Rehearsal
from fwtop_profilers.guard import Guard
from fwtop_profilers.hook_cost import Work
from fwtop_profilers.probe import Context
from fwtop_profilers.tape import Tape
from fwtop_profilers.tensorflow import graphs, memory, ranks, step_hooks, windows
from fwtop_profilers.tensorflow.hand_updates import HandUpdates
from fwtop_profilers.tensorflow.tracing import Tracing

MEMORY = "tensorflow memory"
FUNCTION = "tensorflow.python.eager.polymorphic_function.polymorphic_function"
CONCRETE = "tensorflow.python.eager.polymorphic_function.concrete_function"
TRACING = "tensorflow.python.eager.polymorphic_function.tracing_compilation"
AUTOGRAPH = "tensorflow.python.autograph.impl.api"
TAPE = "tensorflow.python.eager.backprop"
VARIABLES = (
    ("tensorflow.python.ops.resource_variable_ops", "BaseResourceVariable"),
    ("tensorflow.python.ops.resource_variable_ops", "ResourceVariable"),  # type promotion's
    ("tensorflow.python.distribute.values", "DistributedVariable"),
)
OPTIMIZER = "tensorflow.python.training.optimizer"
ASSIGNMENTS = ("assign", "assign_add", "assign_sub", "scatter_add", "scatter_sub", "scatter_update")
ITERATORS = (
    ("tensorflow.python.data.ops.iterator_ops", "OwnedIterator"),
    ("tensorflow.python.distribute.input_lib", "DistributedIteratorBase"),
)


def make_probe(context: Context, framework: ModuleType) -> TensorFlowProbe:
    """The probe of this process's TensorFlow."""
    return TensorFlowProbe(context, framework)


class TensorFlowProbe(FrameworkProbe):
    """All of TensorFlow's hooks in one process."""

    prefix = "tensorflow "

    def __init__(self, context: Context, tensorflow: ModuleType) -> None:
        super().__init__(context, tensorflow)
        self._tracing: Optional[Tracing] = None
        self._graphs_open = graphs.OpenGraphs()
        self._updates = HandUpdates(context.steps)
        context.steps.updates["tensorflow"] = self._updates

    def _parts(self) -> Sequence[Tuple[str, Install]]:
        return (
            ("graphs", self._install_graphs),
            ("compile", self._install_tracing),
            ("function", self._install_function),
            ("backward", self._install_tape),
            ("updates", self._install_updates),
            ("optimizer", self._install_optimizer),
            ("input", self._install_iterators),
            ("forward", self._install_forward),
            ("call", self._install_call),
            ("windows", self._install_windows),
            ("rank", self._install_rank),
        )

    def _is_compiling(self) -> bool:
        return not graphs.is_eager()

    # --- the parts ------------------------------------------------------------------------------

    def _install_graphs(self, guard: Guard) -> str:
        self._graphs_open.watch(self._patches)
        return "graphs that are open"

    def _install_tracing(self, guard: Guard) -> str:
        self._tracing = tracing = Tracing(self._context, guard, windows.compile_began)
        self._patches.replace(_loaded(TRACING), "_create_concrete_function", tracing.wrap_create)
        autograph = sys.modules.get(AUTOGRAPH)
        if not hasattr(autograph, "_fall_back_unconverted"):
            return "traces"
        self._patches.replace(autograph, "_fall_back_unconverted", tracing.wrap_fallback)
        return "traces, AutoGraph's fallbacks"

    def _install_function(self, guard: Guard) -> str:
        tape, tracing = self._context.tape, self._tracing
        if tracing is None:
            return "none: traces are not seen"
        calls = step_hooks.FunctionCalls(tape, tracing, self._updates, self._graphs_open)
        self._patches.replace(
            _loaded(FUNCTION).Function,
            "__call__",
            lambda original: calls.wrap(original, guard),
        )
        return "Function.__call__"

    def _install_tape(self, guard: Guard) -> str:
        begins, ends = step_hooks.gradient_hooks(self._context.tape, self._updates.differentiated)
        self._patches.replace(
            _loaded(TAPE).GradientTape,
            "gradient",
            lambda original: wraps.wrap_call(original, begins, ends, guard),
        )
        return "GradientTape.gradient"

    def _install_updates(self, guard: Guard) -> str:
        assigned = self._updates.assigned
        for module, kind in VARIABLES:
            owner = getattr(_loaded(module), kind)
            for name in ASSIGNMENTS:
                if name in vars(owner):
                    self._patches.replace(
                        owner,
                        name,
                        lambda original: wraps.wrap_call(original, assigned, wraps.never, guard),
                    )
        return "assignments to differentiated variables"

    def _install_optimizer(self, guard: Guard) -> str:
        """TensorFlow 1's optimizers; Keras' are its own probe's."""
        tape, owner = self._context.tape, getattr(sys.modules.get(OPTIMIZER), "Optimizer", None)
        if owner is None:
            return ""

        begin, ends = tape.optimizer_begin, wraps.with_key(tape.optimizer_end)

        def begins(optimizer: Any, args: Any, kwargs: Any) -> Optional[int]:
            if graphs.traced_update(tape):
                return None
            tape.steps.framework = "tensorflow"
            begin(id(optimizer))
            return id(optimizer)

        self._patches.replace(
            owner,
            "apply_gradients",
            lambda original: wraps.wrap_call(original, begins, ends, guard),
        )
        return "tf.compat.v1"

    def _install_iterators(self, guard: Guard) -> str:
        tape, graphs_open = self._context.tape, self._graphs_open
        found = []
        for module, name in ITERATORS:
            owner = getattr(sys.modules.get(module), name, None)
            if owner is not None:
                self._patches.replace(
                    owner,
                    "__next__",
                    lambda original: step_hooks.wrap_next(original, tape, guard, graphs_open),
                )
                found.append(name)
        return ", ".join(found) or "none: this version's iterators are not known"

    def _install_forward(self, guard: Guard) -> str:
        """What a loaded model holds (`signatures`) is no tf.function, but may be called as one."""
        tape, steps = self._context.tape, self._context.steps
        owner = getattr(sys.modules.get(CONCRETE), "ConcreteFunction", None)
        if owner is None:
            return "none: this version's concrete functions are not known"
        begin, ends = tape.forward_begin, wraps.with_key(tape.forward_end)

        def begins(function: Any, args: Any, kwargs: Any) -> Optional[int]:
            if not steps.counts_forwards or not graphs.is_eager():
                return None
            steps.framework = "tensorflow"
            begin(id(function))
            return id(function)

        self._patches.replace(
            owner,
            "__call__",
            lambda original: wraps.wrap_call(original, begins, ends, guard),
        )
        return "Function.__call__, ConcreteFunction.__call__"

    def _install_windows(self, guard: Guard) -> str:
        self._undo.append(windows.install(self._context, self._framework))
        return windows.describe()

    def _install_rank(self, guard: Guard) -> str:
        place = ranks.from_tf_config()
        if place is None:
            return ""
        self._context.send(place)
        return "TF_CONFIG"

    # --- once a second, on the sender's thread --------------------------------------------------

    def _look(self) -> None:
        steps = self._context.steps
        if not self._context.disabled(MEMORY):
            try:
                for reading in memory.readings(self._framework):
                    self._context.send(reading)
                    self._device = self._device or reading.device
            except Exception as error:
                self._context.fail(MEMORY, error)
        if steps.index and steps.framework == "tensorflow":
            self._device = self._device or "cpu"

    def _rehearsal(self) -> Rehearsal:
        """The hooks of a plain step, on a tape of their own, and how many calls they are."""
        tape, guard = Tape(), Guard(self._context, "rehearsal")
        tape.optimizer_made()
        begins, ends = step_hooks.gradient_hooks(tape, lambda sources: None)

        def rehearsal(work: Work) -> Callable[[], None]:
            backward = wraps.wrap_call(work, begins, ends, guard)
            fetch = step_hooks.wrap_next(work, tape, guard, self._graphs_open)

            def step() -> None:
                fetch(tape)
                work()
                backward(tape, None, ())
                work()
                tape.optimizer_begin(1)
                work()
                tape.optimizer_end(1)

            return step

        return rehearsal, 6


def _loaded(name: str) -> Any:
    """A module that the script's import has loaded. Raises ImportError."""
    module = sys.modules.get(name)
    if module is None:
        raise ImportError("this version of TensorFlow has no %s" % name)
    return module
