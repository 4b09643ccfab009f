"""Keras' own loop: its batches of training, evaluation and prediction, and how large they are."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Optional

from fwtop_profilers.guard import Guard
from fwtop_profilers.plain_steps import Boundary
from fwtop_profilers.tape import Tape
from fwtop_profilers.wraps import hide, never, wrap_call

Hook = Callable[..., Any]
Wrap = Callable[[Hook], Hook]
Listener = Callable[[Any, int], None]

_latest: Any = None
"""The epoch iterator (tf_keras: data handler) that was made last: `fit` makes its own right before
it begins."""


def iterator_made(iterator: Any) -> None:
    """One was made: it tells the size of its batches."""
    global _latest
    _latest = iterator


class Sizes:
    """Samples in each batch of one epoch, as far as the data adapter tells."""

    def __init__(self, iterator: Any) -> None:
        found = getattr(iterator, "data_adapter", None) or getattr(iterator, "_adapter", None)
        self._size = _told(found, "batch_size")
        self._last: Optional[int] = None
        self._partial: Optional[int] = None
        if self._size is not None and _told(found, "has_partial_batch"):
            count = _told(iterator, "num_batches")
            count = _told(iterator, "inferred_steps") if count is None else count
            self._last = None if count is None else count - 1
            self._partial = _told(found, "partial_batch_size")

    def of(self, first: int, last: int) -> Optional[int]:
        """Samples in the batches `first` to `last`; None where it is not known."""
        if self._size is None:
            return None
        samples = self._size * max(1, last - first + 1)
        if last == self._last and self._partial is not None:
            samples += self._partial - self._size
        return samples


def _told(owner: Any, name: str) -> Optional[int]:
    """A number that Keras 3 keeps, and tf_keras gives when it is called."""
    value = getattr(owner, name, None)
    try:
        return number(value() if callable(value) else value)
    except NotImplementedError:  # an adapter that does not say
        return None


class Batches:
    """What the wrapped callback list tells of."""

    def __init__(self, tape: Tape, guard: Guard, backend: Callable[[], str]) -> None:
        self._tape = tape
        self._steps = tape.steps
        self._guard = guard
        self._backend = backend
        self._sizes = self._judged = Sizes(None)
        self._first = 0
        self._first_judged = 0

    def wraps(self) -> Dict[str, Wrap]:
        """The methods of a callback list to wrap, and with what."""
        found = {
            "on_train_begin": self._before(self._fit_begins),
            "on_train_end": self._after(self._fit_ends),
            "on_train_batch_begin": self._batch_begins,
            "on_train_batch_end": self._batch_ends,
        }
        for kind in ("test", "predict"):
            found["on_%s_begin" % kind] = self._before(self._judging_begins)
            found["on_%s_end" % kind] = self._after(self._judging_ends)
            found["on_%s_batch_begin" % kind] = self._before(self._judged_begins)
            found["on_%s_batch_end" % kind] = self._before(self._judged_ends)
        return found

    def _fit_begins(self, callbacks: Any, batch: int) -> None:
        global _latest
        self._steps.framework = self._backend()
        model = vars(callbacks).get("_model") or vars(callbacks).get("model")
        together = getattr(model, "steps_per_execution", getattr(model, "_steps_per_execution", 1))
        together = number(together) or 1
        detail = "Keras fit"
        if together > 1:
            detail += ", %d batches an execution: each step holds so many" % together
        self._tape.loop_begins(detail)  # so what was noted of the fit before is over
        self._sizes, _latest = Sizes(_latest), None

    def _fit_ends(self, callbacks: Any, batch: int) -> None:
        self._tape.fit_end()

    def _judging_begins(self, callbacks: Any, batch: int) -> None:
        global _latest
        if _latest is not None:  # none is made where `fit` evaluates once more
            self._judged, _latest = Sizes(_latest), None
        if not self._steps.trained or self._steps.awaits_name:
            self._steps.framework = self._backend()
            self._tape.loop_begins("Keras evaluate or predict")

    def _judging_ends(self, callbacks: Any, batch: int) -> None:
        self._tape.interrupted()

    def _judged_begins(self, callbacks: Any, batch: int) -> None:
        self._first_judged = batch
        self._tape.judge_begin()

    def _judged_ends(self, callbacks: Any, batch: int) -> None:
        self._tape.judge_end(self._judged.of(self._first_judged, batch))

    def _batch_begins(self, original: Hook) -> Hook:
        """A training batch begins, or several of one execution. Called in each step, it notes that
        itself (see `tape`), as its end does."""
        tape, guard, begin = self._tape, self._guard, self._steps.batch_begin
        append, clock, thread = tape.append, tape.clock, tape.thread
        begun: Boundary = (begin, 0, "", ())

        @functools.wraps(original)
        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal begun
            if not guard.off:
                try:
                    batch = args[1] if len(args) > 1 else kwargs.get("batch")
                    self._first = batch if type(batch) is int else number(batch) or 0
                    noted, by = begun, thread()
                    if noted[1] != by:
                        noted = begun = (begin, by, "", ())
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

        return called

    def _batch_ends(self, original: Hook) -> Hook:
        """It has ended, its number being that of the last of them."""
        tape, guard, end = self._tape, self._guard, self._steps.batch_end
        append, clock, thread = tape.append, tape.clock, tape.thread
        ended: Boundary = (end, 0, "", ())

        @functools.wraps(original)
        def called(*args: Any, **kwargs: Any) -> Any:
            nonlocal ended
            if not guard.off:
                try:
                    batch = args[1] if len(args) > 1 else kwargs.get("batch")
                    batch = batch if type(batch) is int else number(batch) or 0
                    gave = (self._sizes.of(self._first, batch),)
                    noted, by = ended, thread()
                    if noted[3] != gave or noted[1] != by:
                        noted = ended = (end, by, "", gave)
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

        return called

    def _before(self, listener: Listener) -> Wrap:
        def begins(callbacks: Any, args: Any, kwargs: Any) -> None:
            listener(callbacks, number(args[0] if args else kwargs.get("batch")) or 0)

        return lambda original: wrap_call(original, begins, never, self._guard)

    def _after(self, listener: Listener) -> Wrap:
        def begins(callbacks: Any, args: Any, kwargs: Any) -> bool:
            return True

        def ends(callbacks: Any, token: bool) -> None:
            listener(callbacks, 0)

        return lambda original: wrap_call(original, begins, ends, self._guard)


def number(value: Any) -> Optional[int]:
    """An int of whatever a framework calls one (NumPy's, a variable's); None for anything else."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # the last one is torch's
        return None
