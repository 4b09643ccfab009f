"""Keras' own loop: its batches of training, evaluation and prediction, and how large they are."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Optional

from fwtop_profilers.guard import Guard
from fwtop_profilers.whole_steps import WholeSteps
from fwtop_profilers.wraps import hide

Hook = Callable[..., Any]
Wrap = Callable[[Hook], Hook]

_latest: Any = None
"""The epoch iterator that was made last: `fit` makes its own right before it begins."""


def iterator_made(iterator: Any) -> None:
    """An epoch iterator was made: it tells the size of its batches."""
    global _latest
    _latest = iterator


class Sizes:
    """Samples in each batch of one epoch, as far as the data adapter tells."""

    def __init__(self, iterator: Any) -> None:
        adapter = getattr(iterator, "data_adapter", None)
        self._size = _number(getattr(adapter, "batch_size", None))
        self._last: Optional[int] = None
        self._partial: Optional[int] = None
        if self._size is not None and getattr(adapter, "has_partial_batch", False):
            count = _number(getattr(iterator, "num_batches", None))
            self._last = None if count is None else count - 1
            self._partial = _number(getattr(adapter, "partial_batch_size", None))

    def of(self, first: int, last: int) -> Optional[int]:
        """Samples in the batches `first` to `last`; None where it is not known."""
        if self._size is None:
            return None
        samples = self._size * max(1, last - first + 1)
        if last == self._last and self._partial is not None:
            samples += self._partial - self._size
        return samples


class Batches:
    """What the wrapped callback list tells of."""

    def __init__(
        self, steps: WholeSteps, guard: Guard, backend: Callable[[], str], name: str
    ) -> None:
        self._steps = steps
        self._guard = guard
        self._backend = backend
        self._name = name
        self._sizes = self._judged = Sizes(None)
        self._first = 0
        self._first_judged = 0

    def wraps(self) -> Dict[str, Wrap]:
        """The methods of a callback list to wrap, and with what."""
        found = {
            "on_train_begin": self._before(self._fit_begins),
            "on_train_end": self._after(self._fit_ends),
            "on_train_batch_begin": self._before(self._batch_begins),
            "on_train_batch_end": self._before(self._batch_ends),
        }
        for kind in ("test", "predict"):
            found["on_%s_begin" % kind] = self._before(self._judging_begins)
            found["on_%s_end" % kind] = self._after(self._judging_ends)
            found["on_%s_batch_begin" % kind] = self._before(self._judged_begins)
            found["on_%s_batch_end" % kind] = self._before(self._judged_ends)
        return found

    def _fit_begins(self, callbacks: Any, batch: int) -> None:
        global _latest
        self._sizes, _latest = Sizes(_latest), None
        self._steps.framework = self._backend()
        model = vars(callbacks).get("_model") or vars(callbacks).get("model")
        together = getattr(model, "steps_per_execution", getattr(model, "_steps_per_execution", 1))
        together = _number(together) or 1
        detail = "Keras fit"
        if together > 1:
            detail += ", %d batches an execution: each step holds so many" % together
        self._steps.loop_begins(detail)

    def _fit_ends(self, callbacks: Any, batch: int) -> None:
        self._steps.fit_end()

    def _batch_begins(self, callbacks: Any, batch: int) -> None:
        self._first = batch
        self._steps.batch_begin()

    def _batch_ends(self, callbacks: Any, batch: int) -> None:
        self._steps.batch_end(self._sizes.of(self._first, batch))

    def _judging_begins(self, callbacks: Any, batch: int) -> None:
        global _latest
        if _latest is not None:  # none is made where `fit` evaluates once more
            self._judged, _latest = Sizes(_latest), None
        if not self._steps.trained:
            self._steps.framework = self._backend()
            self._steps.loop_begins("Keras evaluate or predict")

    def _judging_ends(self, callbacks: Any, batch: int) -> None:
        self._steps.interrupted()

    def _judged_begins(self, callbacks: Any, batch: int) -> None:
        self._first_judged = batch
        self._steps.judge_begin()

    def _judged_ends(self, callbacks: Any, batch: int) -> None:
        self._steps.judge_end(self._judged.of(self._first_judged, batch))

    def _before(self, listener: Callable[[Any, int], None]) -> Wrap:
        return functools.partial(_wrap, listener=listener, guard=self._guard, first=True)

    def _after(self, listener: Callable[[Any, int], None]) -> Wrap:
        return functools.partial(_wrap, listener=listener, guard=self._guard, first=False)


def _wrap(original: Hook, listener: Callable[[Any, int], None], guard: Guard, first: bool) -> Hook:
    """`original` (self, [batch], [logs]), with `listener` told before or after it."""

    def tell(callbacks: Any, batch: Any) -> None:
        if guard.off:
            return
        try:
            listener(callbacks, batch if type(batch) is int else _number(batch) or 0)
        except Exception as error:
            guard.fail(error)

    if first:

        @functools.wraps(original)
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            tell(self, args[0] if args else kwargs.get("batch"))
            try:
                return original(self, *args, **kwargs)
            except BaseException as raised:
                hide(raised)
                raise

    else:

        @functools.wraps(original)
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(self, *args, **kwargs)
            except BaseException as raised:
                hide(raised)
                raise
            finally:
                tell(self, None)

    return called


def _number(value: Any) -> Optional[int]:
    """An int of whatever a framework calls one (NumPy's, a variable's); None for anything else."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last one is torch's
        return None
