"""Keras' trainers: their calls for one batch, and where a loop of theirs is over.

`train_on_batch` bounds a step where the backend runs it whole, unseen (jax); on the others the
updates within do. `predict_on_batch` and `test_on_batch` are model calls: steps where nothing
trains, part of the step where something does. All of them say how large the batch is.

A loop (`fit`, `evaluate`, `predict`) that raises tells its callbacks nothing; that it was left is
seen here.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

from fwtop_profilers.keras.batches import number
from fwtop_profilers.tape import Tape
from fwtop_profilers.wraps import Begins, Ends

TRAINERS = {
    "tensorflow": ("keras.src.backend.tensorflow.trainer", "TensorFlowTrainer"),
    "jax": ("keras.src.backend.jax.trainer", "JAXTrainer"),
    "torch": ("keras.src.backend.torch.trainer", "TorchTrainer"),
}
OLD_TRAINER = ("tf_keras.src.engine.training", "Model")
"""tf_keras' one."""
MAX_DEPTH = 4

Token = Tuple[Callable[[int], None], int]


def find(name: str, backend: str) -> Optional[Tuple[str, str]]:
    """The module and the name of the class that trains; None where none is known."""
    return OLD_TRAINER if name == "tf_keras" else TRAINERS.get(backend)


class Trainers:
    """What the wrapped methods of a trainer tell of."""

    def __init__(self, tape: Tape, backend: str, updates_are_seen: bool) -> None:
        self._tape = tape
        self._backend = backend
        self._updates_are_seen = updates_are_seen
        self._loops = 0

    def hooks(self) -> Dict[str, Tuple[Begins, Ends]]:
        """The methods to wrap, and with what."""
        return {
            "train_on_batch": (self._trains, self._ended),
            "test_on_batch": (self._calls, self._ended),
            "predict_on_batch": (self._calls, self._ended),
            "fit": (self._loop_begins, self._loop_ended),
            "evaluate": (self._loop_begins, self._loop_ended),
            "predict": (self._loop_begins, self._loop_ended),
        }

    def _trains(self, trainer: Any, args: Any, kwargs: Any) -> Optional[Token]:
        tape, steps, key = self._tape, self._tape.steps, _key(trainer)
        steps.framework = self._backend
        tape.batch_given(_size(args, kwargs))
        if steps.is_chosen and steps.counts_forwards:
            tape.forward_begin(key)
            return tape.forward_end, key
        if self._updates_are_seen:
            return None
        tape.update_begin(key)
        return tape.update_end, key

    def _calls(self, trainer: Any, args: Any, kwargs: Any) -> Optional[Token]:
        tape, steps, key = self._tape, self._tape.steps, _key(trainer)
        if not steps.counts_forwards:
            return None
        steps.framework = self._backend
        tape.forward_begin(key, _size(args, kwargs))
        return tape.forward_end, key

    def _ended(self, trainer: Any, token: Token) -> None:
        end, key = token
        end(key)

    def _loop_begins(self, trainer: Any, args: Any, kwargs: Any) -> int:
        self._loops += 1  # `fit` evaluates by `evaluate`
        self._tape.loop_entered(self._updates_are_seen)  # what builds the model is no step
        return self._loops

    def _loop_ended(self, trainer: Any, token: int) -> None:
        self._loops = token - 1
        if not self._loops:
            self._tape.loop_ended()


def _key(trainer: Any) -> int:
    """Of a trainer's call; the model's own, within it, goes by the model's id."""
    return -id(trainer)


def _size(args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Optional[int]:
    """Samples in the batch that a trainer is called with."""
    return _leading(args[0] if args else kwargs.get("x"), 0)


def _leading(batch: Any, depth: int) -> Optional[int]:
    """The first dimension of a batch's first array; None where there is none."""
    if isinstance(batch, dict):
        batch = list(batch.values())
    if isinstance(batch, (list, tuple)):
        return _leading(batch[0], depth + 1) if batch and depth < MAX_DEPTH else None
    shape = getattr(batch, "shape", None)
    try:
        return number(shape[0]) if shape is not None and len(shape) else None
    except (TypeError, ValueError):  # a shape of unknown rank
        return None
