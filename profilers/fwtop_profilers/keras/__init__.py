"""Keras' probe, for Keras 3 on any backend and for tf_keras: batches, and optimizers' updates.

Owns the hooks into Keras' own loop (`fit`, `evaluate`, `predict`) and its optimizers. What runs
within a batch is the backend's, whose own probe sees it. No callback is added to the user's list:
the list itself is wrapped, which is called on the training thread whatever the callbacks are.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, Dict, List, Optional

from fwtop_profilers import import_hook, wire
from fwtop_profilers.guard import Guard
from fwtop_profilers.keras import batches, optimizers
from fwtop_profilers.patches import Patches
from fwtop_profilers.probe import Context

CALLBACKS = {
    "keras": "keras.src.callbacks.callback_list",
    "tf_keras": "tf_keras.src.callbacks",
}
EPOCHS = {"keras": "keras.src.trainers.epoch_iterator"}
OPTIMIZERS = {
    "keras": ("keras.src.optimizers.base_optimizer", "BaseOptimizer", "apply"),
    "tf_keras": ("tf_keras.src.optimizers.optimizer", "_BaseOptimizer", "apply_gradients"),
}


def make_probe(context: Context, framework: ModuleType) -> KerasProbe:
    """The probe of this process's Keras."""
    return KerasProbe(context, framework)


class KerasProbe:
    """All of Keras' hooks in one process."""

    def __init__(self, context: Context, keras: ModuleType) -> None:
        self._context = context
        self._keras = keras
        self._name = keras.__name__
        self._patches = Patches()
        self._waiting: List[str] = []
        self._hooks: Dict[str, str] = {}
        self._told: Optional[wire.Framework] = None
        self._installed = False

    def install(self) -> None:
        """Put every hook in, now or when its module has been imported; idempotent."""
        if self._installed:
            return
        self._installed = True
        self._when("batches", CALLBACKS[self._name], self._wrap_callbacks)
        if self._name in EPOCHS:
            self._when("samples", EPOCHS[self._name], self._wrap_epochs)
        self._when("optimizer", OPTIMIZERS[self._name][0], self._wrap_optimizer)
        self._tell()

    def uninstall(self) -> None:
        """Take every hook out; safe to call twice."""
        while self._waiting:
            import_hook.forget(self._waiting.pop())
        self._patches.undo()
        self._installed = False

    def _when(self, name: str, module: str, wrap: Callable[[Any, Guard], str]) -> None:
        def install(found: ModuleType) -> None:
            try:
                self._hooks[name] = wrap(found, Guard(self._context, "keras " + name))
            except Exception as error:
                self._context.fail("keras " + name, error)
                self._hooks[name] = "failed: " + repr(error)[:200]
            self._tell()

        self._waiting.append(module)
        import_hook.when_imported(module, install)

    def _wrap_callbacks(self, module: Any, guard: Guard) -> str:
        owner = module.CallbackList
        watch = batches.Batches(self._context.steps, guard, self._backend, self._name)
        for name, wrap in watch.wraps().items():
            self._patches.replace(owner, name, wrap)
        return "CallbackList"

    def _wrap_epochs(self, module: Any, guard: Guard) -> str:
        self._patches.replace(
            module.EpochIterator,
            "__init__",
            lambda original: batches.wrap_epoch_iterator(original, guard),
        )
        return "EpochIterator"

    def _wrap_optimizer(self, module: Any, guard: Guard) -> str:
        _, kind, method = OPTIMIZERS[self._name]
        owner, steps = getattr(module, kind), self._context.steps
        backend = self._backend()
        if backend not in optimizers.SEEN_BACKENDS:
            return "none: %s runs it within compiled code" % backend
        self._patches.replace(
            owner, method, lambda original: optimizers.wrap_apply(original, steps, guard, backend)
        )
        self._patches.replace(
            owner, "__init__", lambda original: optimizers.wrap_init(original, steps, guard)
        )
        return "%s.%s" % (kind, method)

    def _backend(self) -> str:
        if self._name == "tf_keras":
            return "tensorflow"
        return str(self._keras.backend.backend())

    def _tell(self) -> None:
        version = str(getattr(self._keras, "__version__", ""))
        hooks = dict(self._hooks, backend=self._backend())
        framework = wire.Framework(self._name, version, hooks)
        if framework != self._told:
            self._told = framework
            self._context.send(framework)
