"""TensorFlow's boundaries: tf.functions that hold an update, gradient tapes, iterators.

Owns the wraps that feed `WholeSteps`, and holds no state but that of a call under way. Under
tracing they tell nothing, but mark what is traced (`graphs`). Arguments, results and exceptions
pass untouched.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns
from fwtop_profilers.guard import Guard
from fwtop_profilers.tensorflow import graphs
from fwtop_profilers.tensorflow.graphs import ASSIGNED, DYNAMIC, GRADIENTS, UPDATE
from fwtop_profilers.tensorflow.hand_updates import HandUpdates
from fwtop_profilers.tensorflow.tracing import Tracing
from fwtop_profilers.whole_steps import WholeSteps
from fwtop_profilers.wraps import Begins, Ends, wrap_fetch

Hook = Callable[..., Any]

BOUNDARY = GRADIENTS | UPDATE


class FunctionCalls:
    """What a call of a tf.function means: a step, an update beside others, or a model's forward."""

    def __init__(self, steps: WholeSteps, tracing: Tracing, updates: HandUpdates) -> None:
        self._steps = steps
        self._tracing = tracing
        self._updates = updates

    def begins(self, function: Any, args: Any, kwargs: Any) -> Optional[Call]:
        """A call of `function` begins; None where it says nothing."""
        steps = self._steps
        holds = graphs.holds(function._function_cache)
        if not graphs.is_eager():
            if holds:
                graphs.mark_open_graphs(holds)
            return None
        if function._run_functions_eagerly or graphs.other_replica(steps):
            return None
        tracing = self._tracing
        call = Call(now_ns(), holds, tracing.count, tracing.traced_ns, (args, kwargs))
        if steps.counts_forwards and (steps.is_chosen or not holds & BOUNDARY):
            steps.framework = "tensorflow"
            call.forward = True
            steps.forward_begin(id(function))
        elif holds & BOUNDARY:
            self._step_begins(holds, id(function), None)
        return call

    def ends(self, function: Any, call: Call) -> None:
        """It has ended, or raised."""
        steps, tracing = self._steps, self._tracing
        if tracing.count != call.traces:
            tracing.called(function, call.began_ns, call.traced_ns, call.given)
            if not call.holds & BOUNDARY:  # this call traced it, and now it is known
                call.holds = graphs.holds(function._function_cache)
                if call.holds & BOUNDARY and not (call.forward and steps.is_chosen):
                    self._step_begins(call.holds, id(function), call.began_ns)
            steps.flag(wire.STEP_COMPILED)  # beginning may have made the step anew
        elif call.holds & DYNAMIC and tracing.called_again(function, call.began_ns, call.given):
            steps.flag(wire.STEP_COMPILED)
        if call.forward:
            steps.forward_end(id(function))
        if call.forward and steps.is_chosen:
            return
        if call.holds & BOUNDARY:
            self._step_ends(call.holds, id(function))
        elif call.holds & ASSIGNED:
            self._updates.called()

    def _step_begins(self, holds: int, key: int, began: Optional[int]) -> None:
        self._steps.framework = "tensorflow"
        if holds & UPDATE:
            self._steps.update_begin(key, began)
        else:
            self._steps.gradients_begin(began)

    def _step_ends(self, holds: int, key: int) -> None:
        if holds & UPDATE:
            self._steps.update_end(key)
        else:
            self._steps.gradients_end()


class Call:
    """A call of a tf.function, from the training thread, under way."""

    __slots__ = ("began_ns", "forward", "given", "holds", "traced_ns", "traces")

    def __init__(self, began_ns: int, holds: int, traces: int, traced_ns: int, given: Any) -> None:
        self.began_ns = began_ns
        self.holds = holds
        self.traces = traces
        """How many there had been, and what they took."""
        self.traced_ns = traced_ns
        self.given = given
        """Its arguments; XLA compiles by their shapes."""
        self.forward = False


def gradient_hooks(steps: WholeSteps, differentiated: Callable[[Any], None]) -> Tuple[Begins, Ends]:
    """Of `GradientTape.gradient`: backward, where it runs eagerly; its sources are parameters."""
    begin, end = steps.backward_begin, steps.backward_end

    def begins(tape: Any, args: Any, kwargs: Any) -> Optional[bool]:
        differentiated(args[1] if len(args) > 1 else kwargs.get("sources"))
        if not _is_backward(steps):
            return None
        steps.framework = "tensorflow"
        begin()
        return True

    return begins, lambda tape, token: end()


def _is_backward(steps: WholeSteps) -> bool:
    """Whether a gradient is taken here and now; one that is traced marks its graph."""
    if not graphs.is_eager():
        graphs.mark_open_graphs(GRADIENTS)
        return False
    return not graphs.other_replica(steps)


def wrap_next(original: Hook, steps: WholeSteps, guard: Guard) -> Hook:
    """An iterator's `__next__`, with its wait and the size of its batch told; not its tracing."""

    def begin(key: int, training: bool) -> None:
        if graphs.is_eager():
            steps.input_begin(key, training)

    def end(samples: Optional[int] = None, more: bool = True) -> None:
        if graphs.is_eager():
            steps.input_end(samples, more)

    def trains() -> bool:
        return not steps.judges

    return wrap_fetch(original, begin, end, guard, trains, samples_of)


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
