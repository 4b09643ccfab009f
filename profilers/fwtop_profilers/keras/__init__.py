"""Keras' probe, for Keras 3 on any backend and for tf_keras: batches, and optimizers' updates.

Owns the hooks into Keras' own loop (`fit`, `evaluate`, `predict`) and its optimizers. What runs
within a batch is the backend's, whose own probe sees it. No callback is added to the user's list:
the list itself is wrapped, which is called on the training thread whatever the callbacks are.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from fwtop_profilers import wraps
from fwtop_profilers.framework_probe import FrameworkProbe, Install, Rehearsal
from fwtop_profilers.guard import Guard
from fwtop_profilers.hook_cost import Work
from fwtop_profilers.keras import batches, compiling, trainers
from fwtop_profilers.probe import Context
from fwtop_profilers.tape import Tape

CALLBACKS = {
    "keras": "keras.src.callbacks.callback_list",
    "tf_keras": "tf_keras.src.callbacks",
}
EPOCHS = {
    "keras": ("keras.src.trainers.epoch_iterator", "EpochIterator"),
    "tf_keras": ("tf_keras.src.engine.data_adapter", "DataHandler"),
}
OPTIMIZERS = {
    "keras": ("keras.src.optimizers.base_optimizer", "BaseOptimizer", "apply"),
    "tf_keras": ("tf_keras.src.optimizers.optimizer", "_BaseOptimizer", "apply_gradients"),
}
MODELS = {
    "keras": ("keras.src.models.model", "Model"),
    "tf_keras": ("tf_keras.src.engine.training", "Model"),
}
UNSEEN_UPDATES = ("jax",)
"""Backends whose updates run within compiled code that no other probe sees."""
MAX_NESTED = 3
SYMBOLIC = "keras.src.backend.common.symbolic_scope"

UNTOLD = "tensorflow/python/fwtop"
"""What TensorFlow says of an error in a graph is where each operator was made, call by call; it
leaves out files whose path holds its own."""
NO_SOURCE = "<string>"
"""AutoGraph runs code of this file as it is. A model given to tf.function it would convert, and
say that it cannot, for what stands at the original's place is not what runs."""


def make_probe(context: Context, framework: ModuleType) -> KerasProbe:
    """The probe of this process's Keras."""
    return KerasProbe(context, framework)


class KerasProbe(FrameworkProbe):
    """All of Keras' hooks in one process."""

    prefix = "keras "

    def __init__(self, context: Context, keras: ModuleType) -> None:
        super().__init__(context, keras)
        self._name = keras.__name__

    def _parts(self) -> Sequence[Tuple[str, Install]]:
        return (
            ("batches", self._install_batches),
            ("samples", self._install_samples),
            ("optimizer", self._install_optimizer),
            ("forward", self._install_forward),
            ("trainer", self._install_trainer),
            ("call", self._install_call),
        )

    def _is_compiling(self) -> bool:
        return compiling.make_test(self._backend())()

    def _described(self) -> Dict[str, str]:
        return dict(self._hooks, backend=self._backend())

    # --- the parts ------------------------------------------------------------------------------

    def _install_batches(self, guard: Guard) -> str:
        self._part_when("batches", CALLBACKS[self._name], self._wrap_callbacks)
        return self._hooks.get("batches", "")

    def _wrap_callbacks(self, module: Any, guard: Guard) -> str:
        owner = module.CallbackList
        watch = batches.Batches(self._context.tape, guard, self._backend)
        for name, wrap in watch.wraps().items():
            self._patches.replace(owner, name, wrap, file=self._file())
        return "CallbackList"

    def _install_samples(self, guard: Guard) -> str:
        self._part_when("samples", EPOCHS[self._name][0], self._wrap_epochs)
        return self._hooks.get("samples", "")

    def _wrap_epochs(self, module: Any, guard: Guard) -> str:
        kind = EPOCHS[self._name][1]
        self._patches.replace(
            getattr(module, kind),
            "__init__",
            lambda original: wraps.wrap_made(original, batches.iterator_made, guard),
        )
        return kind

    def _install_optimizer(self, guard: Guard) -> str:
        self._part_when("optimizer", OPTIMIZERS[self._name][0], self._wrap_optimizer)
        return self._hooks.get("optimizer", "")

    def _wrap_optimizer(self, module: Any, guard: Guard) -> str:
        _, kind, method = OPTIMIZERS[self._name]
        owner, tape, backend = getattr(module, kind), self._context.tape, self._backend()
        self._patches.replace(
            owner,
            "__init__",
            lambda original: wraps.wrap_made(
                original, lambda optimizer: tape.optimizer_made(), guard
            ),
        )
        traced = compiling.make_update_test(backend, tape)
        if traced is None:
            return "none: %s runs it within compiled code" % backend
        begin, ends = tape.optimizer_begin, wraps.with_key(tape.optimizer_end)

        def begins(optimizer: Any, args: Any, kwargs: Any) -> Optional[int]:
            if traced():  # first: a compiler folds it, and sees nothing of the rest
                return None
            tape.steps.framework = backend
            begin(id(optimizer))
            return id(optimizer)

        self._patches.replace(
            owner,
            method,
            lambda original: wraps.wrap_call(original, begins, ends, guard),
        )
        return "%s.%s" % (kind, method)

    def _install_forward(self, guard: Guard) -> str:
        self._part_when("forward", MODELS[self._name][0], self._wrap_model)
        return self._hooks.get("forward", "")

    def _wrap_model(self, module: Any, guard: Guard) -> str:
        tape, steps, backend = self._context.tape, self._context.steps, self._backend()
        steps.builds = _is_symbolic
        if backend == "torch" and steps.source != "forward":
            return ""  # what it compiles would hold the wrapper; DataLoaders tell of inference
        is_compiling = compiling.make_test(backend)
        begin, ends = tape.forward_begin, wraps.with_key(tape.forward_end)

        def begins(model: Any, args: Any, kwargs: Any) -> Optional[int]:
            if is_compiling() or not steps.counts_forwards or _is_symbolic(args):
                return None
            steps.framework = backend
            begin(id(model))
            return id(model)

        self._patches.replace(
            getattr(module, MODELS[self._name][1]),
            "__call__",
            lambda original: wraps.wrap_call(original, begins, ends, guard),
            file=NO_SOURCE,
        )
        return "Model.__call__"

    def _install_trainer(self, guard: Guard) -> str:
        found = trainers.find(self._name, self._backend())
        if found is None:
            return "none: %s's trainer is not known" % self._backend()
        self._part_when("trainer", found[0], self._wrap_trainer)
        return self._hooks.get("trainer", "")

    def _wrap_trainer(self, module: Any, guard: Guard) -> str:
        _, kind = trainers.find(self._name, self._backend()) or ("", "")
        watch = trainers.Trainers(self._context.tape, self._backend(), self._updates_are_seen())
        for name, (begins, ends) in watch.hooks().items():
            wrap = functools.partial(wraps.wrap_call, begins=begins, ends=ends, guard=guard)
            self._patches.replace(getattr(module, kind), name, wrap, file=self._file())
        return kind

    # --- the rest -------------------------------------------------------------------------------

    def _file(self) -> Optional[str]:
        """Where wrappers of Keras' own loop say that they are written; None: where the loop is."""
        return UNTOLD if self._backend() == "tensorflow" else None

    def _backend(self) -> str:
        if self._name == "tf_keras":
            return "tensorflow"
        return str(self._framework.backend.backend())

    def _updates_are_seen(self) -> bool:
        return self._backend() not in UNSEEN_UPDATES

    def _rehearsal(self) -> Optional[Rehearsal]:
        if self._backend() in ("tensorflow", "torch"):
            return None  # theirs are dearer
        tape = Tape()

        def rehearsal(work: Work) -> Callable[[], None]:
            def step() -> None:
                tape.batch_begin()
                work()
                tape.batch_end()

            return step

        return rehearsal, 2


def _is_symbolic(inputs: Tuple[Any, ...]) -> bool:
    """Whether Keras runs a model on stand-ins, to build it and to learn its shapes."""
    module = sys.modules.get(SYMBOLIC)
    if module is not None and module.in_symbolic_scope():
        return True
    value: Any = inputs
    for _ in range(MAX_NESTED):
        if isinstance(value, (list, tuple)) and value:
            value = value[0]
        elif isinstance(value, dict) and value:
            value = next(iter(value.values()))
    return type(value).__name__ == "KerasTensor"
