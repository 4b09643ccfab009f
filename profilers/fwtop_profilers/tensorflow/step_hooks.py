"""TensorFlow's boundaries: tf.functions that hold an update, gradient tapes, iterators.

Owns the wraps that feed `WholeSteps`; holds no state. Under tracing they tell nothing, but mark
what is traced (`graphs`). Arguments, results and exceptions pass untouched.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns
from fwtop_profilers.guard import Guard
from fwtop_profilers.tensorflow import graphs
from fwtop_profilers.tensorflow.graphs import GRADIENTS, UPDATE
from fwtop_profilers.tensorflow.tracing import Tracing
from fwtop_profilers.whole_steps import WholeSteps

Hook = Callable[..., Any]

BOUNDARY = GRADIENTS | UPDATE


def wrap_function_call(original: Hook, steps: WholeSteps, guard: Guard, tracing: Tracing) -> Hook:
    """`tf.function`'s call: a step, if what it holds is one."""

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwds: Any) -> Any:
        if guard.off:
            return original(self, *args, **kwds)
        holds = 0
        begin = now_ns()
        try:
            holds = graphs.holds(self._function_cache)
            tells = graphs.is_eager()
            if not tells:
                if holds:
                    graphs.mark_open_graphs(holds)
            elif self._run_functions_eagerly or graphs.other_replica(steps):
                tells = False
            elif holds & BOUNDARY:
                _begin(steps, holds, id(self), None)
        except Exception as error:
            guard.fail(error)
            tells = False
        if not tells:
            return original(self, *args, **kwds)
        count, traced_ns = tracing.count, tracing.traced_ns
        try:
            return original(self, *args, **kwds)
        finally:
            try:
                if tracing.count != count:
                    tracing.called(self, begin, traced_ns)
                    if not holds & BOUNDARY:  # this call traced it, and now it is known
                        holds = graphs.holds(self._function_cache)
                        if holds & BOUNDARY:
                            _begin(steps, holds, id(self), begin)
                    steps.flag(wire.STEP_COMPILED)  # beginning may have made the step anew
                if holds & BOUNDARY:
                    _end(steps, holds, id(self))
            except Exception as error:
                guard.fail(error)

    return call


def _begin(steps: WholeSteps, holds: int, key: int, began: Optional[int]) -> None:
    steps.framework = "tensorflow"
    if holds & UPDATE:
        steps.update_begin(key, began)
    else:
        steps.gradients_begin(began)


def _end(steps: WholeSteps, holds: int, key: int) -> None:
    if holds & UPDATE:
        steps.update_end(key)
    else:
        steps.gradients_end()


def wrap_gradient(original: Hook, steps: WholeSteps, guard: Guard) -> Hook:
    """`GradientTape.gradient`: backward, where it runs eagerly."""
    begin, end = steps.backward_begin, steps.backward_end

    @functools.wraps(original)
    def gradient(self: Any, *args: Any, **kwargs: Any) -> Any:
        if guard.off:
            return original(self, *args, **kwargs)
        try:
            tells = graphs.is_eager()
            if not tells:
                graphs.mark_open_graphs(GRADIENTS)
            elif graphs.other_replica(steps):
                tells = False
            if tells:
                steps.framework = "tensorflow"
                begin()
        except Exception as error:
            guard.fail(error)
            tells = False
        if not tells:
            return original(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            try:
                end()
            except Exception as error:
                guard.fail(error)

    return gradient


def wrap_next(original: Hook, steps: WholeSteps, guard: Guard) -> Hook:
    """An iterator's `__next__`, with its wait and the size of its batch told."""
    begin, end = steps.input_begin, steps.input_end

    @functools.wraps(original)
    def fetch(self: Any) -> Any:
        if guard.off:
            return original(self)
        try:
            begin(id(self), not steps.judges)
        except Exception as error:
            guard.fail(error)
        try:
            batch = original(self)
        except BaseException:
            try:
                end(None, False)
            except Exception as error:
                guard.fail(error)
            raise
        try:
            end(samples_of(batch))
        except Exception as error:
            guard.fail(error)
        return batch

    return fetch


def samples_of(batch: Any, depth: int = 0) -> Optional[int]:
    """The leading dimension of the first tensor with one; None where there is none."""
    if depth > 4:
        return None
    if isinstance(batch, dict):
        batch = list(batch.values())
    if isinstance(batch, (list, tuple)):
        for part in batch[:4]:
            found = samples_of(part, depth + 1)
            if found is not None:
                return found
        return None
    if type(batch).__name__ == "PerReplica":
        each = [samples_of(value, depth + 1) for value in batch.values]
        return None if None in each else sum(count for count in each if count is not None)
    shape = getattr(batch, "shape", None)
    rank = getattr(shape, "rank", None)
    return int(shape[0]) if rank and shape is not None and shape[0] is not None else None
