"""TensorFlow's boundaries: tf.functions that hold an update, gradient tapes, iterators.

Owns the wraps that feed the tape, and holds no state but that of a call under way. Under
tracing they tell nothing, but mark what is traced (`graphs`). Arguments, results and exceptions
pass untouched.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Callable, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.guard import Guard
from fwtop_profilers.plain_steps import Boundary
from fwtop_profilers.tape import Tape
from fwtop_profilers.tensorflow import graphs
from fwtop_profilers.tensorflow.graphs import (
    ASSIGNED,
    DYNAMIC,
    GRADIENTS,
    UPDATE,
    OpenGraphs,
)
from fwtop_profilers.tensorflow.hand_updates import HandUpdates
from fwtop_profilers.tensorflow.tracing import Tracing
from fwtop_profilers.wraps import Begins, Ends, hide, wrap_fetch

Hook = Callable[..., Any]

BOUNDARY = GRADIENTS | UPDATE
EAGER_RUN = "tensorflow.python.eager.polymorphic_function.eager_function_run"

KNOWN = "_fwtop_known"
"""Attribute of a function that holds an update."""
Known = Tuple[int, Boundary, Boundary, int]
"""How many traces there had been when that was found, what a call of it begins and ends with, and
what the traces took."""
Call = Tuple[int, int, bool, int, int, Any]
"""A call of a tf.function that is under way: when it began, what the function held then, whether it
is a model's forward, how many traces there had been and what they took, and its arguments (XLA
compiles by their shapes). A plain tuple, for each step makes one."""


class FunctionCalls:
    """What a call of a tf.function means: a step, an update beside others, or a model's forward."""

    def __init__(
        self, tape: Tape, tracing: Tracing, updates: HandUpdates, graphs_open: OpenGraphs
    ) -> None:
        self._tape = tape
        self._steps = tape.steps
        self._tracing = tracing
        self._updates = updates
        self._graphs_open = graphs_open
        self._eager_run: Any = sys.modules[EAGER_RUN]

    def wrap(self, original: Hook, guard: Guard) -> Hook:
        """`Function.__call__`, told of.

        Nearly all calls are like the one before: of a function that is known to hold an update, and
        nothing was traced since. Those are noted here; what such a hook touches in each step, and
        the framework's work has driven from the caches, is most of its cost.
        """
        tape, tracing, eager_run = self._tape, self._tracing, self._eager_run
        opened = self._graphs_open.opened
        append, clock, thread, main = tape.append, tape.clock, tape.thread, graphs.MAIN_THREAD
        begins, ends = self._begins, self._ends

        @functools.wraps(original)
        def called(*args: Any, **kwargs: Any) -> Any:
            call = known = None
            if not guard.off:
                try:
                    known = getattr(args[0], KNOWN, None)
                    if (
                        known is None
                        or known[0] != tracing.count
                        or opened
                        or thread() != main
                        or eager_run.RUN_FUNCTIONS_EAGERLY
                    ):
                        known, call = None, begins(args[0], args[1:], kwargs)
                    else:
                        began_ns = clock()
                        append((began_ns, known[1]))
                        if began_ns >= tape.due_ns:
                            tape.play()
                except Exception as error:
                    guard.fail(error)
            try:
                return original(*args, **kwargs)
            except BaseException as raised:
                hide(raised)
                raise
            finally:
                try:
                    if known is not None and known[0] == tracing.count:
                        at_ns = clock()
                        append((at_ns, known[2]))
                        if at_ns >= tape.due_ns:
                            tape.play()
                    elif known is not None:
                        given = args[1:], kwargs
                        ends(args[0], (began_ns, UPDATE, False, known[0], known[3], given))
                    elif call is not None:
                        ends(args[0], call)
                except Exception as error:
                    guard.fail(error)

        return called

    def _begins(self, function: Any, args: Any, kwargs: Any) -> Optional[Call]:
        """A call of `function` begins; None where it says nothing."""
        tape, tracing, graphs_open = self._tape, self._tracing, self._graphs_open
        holds = getattr(function._function_cache._primary, graphs.MARK, 0)  # graphs.holds, inline
        if graphs_open.opened or not graphs_open.begins_eager:
            if not graphs.is_eager():
                if holds:
                    graphs.mark_open_graphs(holds)
                return None
        by = tape.thread()
        if self._eager_run.RUN_FUNCTIONS_EAGERLY:
            return None
        if by != graphs.MAIN_THREAD and graphs.other_replica(tape):
            return None
        began_ns = tape.clock()
        steps = self._steps
        is_forward = (steps.is_chosen or not holds & BOUNDARY) and steps.counts_forwards
        if is_forward:
            steps.framework = "tensorflow"
            tape.forward_begin(id(function))
        elif holds & UPDATE:
            tape.append((began_ns, (steps.update_begin, by, "tensorflow", (id(function),))))
            if began_ns >= tape.due_ns:
                tape.play()
        elif holds & GRADIENTS:
            steps.framework = "tensorflow"
            tape.gradients_begin()
        return began_ns, holds, is_forward, tracing.count, tracing.traced_ns, (args, kwargs)

    def _ends(self, function: Any, call: Call) -> None:
        """It has ended, or raised."""
        tape, tracing = self._tape, self._tracing
        began_ns, holds, is_forward, traces, traced_ns, given = call
        if tracing.count != traces:
            tracing.called(function, began_ns, traced_ns, given)
            if not holds & BOUNDARY:  # this call traced it, and now it is known
                holds = graphs.holds(function._function_cache)
                if not (is_forward and self._steps.is_chosen):
                    self._began(function, holds, began_ns)
            tape.flag(wire.STEP_COMPILED)  # beginning may have made the step anew
        elif holds & DYNAMIC and tracing.called_again(function, began_ns, given):
            tape.flag(wire.STEP_COMPILED)
        if is_forward:
            tape.forward_end(id(function))
        if is_forward and self._steps.is_chosen:
            return
        if holds & UPDATE:
            tape.update_end(id(function))
            if not holds & DYNAMIC and not self._steps.is_chosen:
                setattr(function, KNOWN, self._known(function))
        elif holds & GRADIENTS:
            tape.gradients_end()
        elif holds & ASSIGNED:
            self._updates.called()

    def _known(self, function: Any) -> Known:
        steps, tracing, key = self._steps, self._tracing, (id(function),)
        begun = (steps.update_begin, graphs.MAIN_THREAD, "tensorflow", key)
        ended = (steps.update_end, graphs.MAIN_THREAD, "", key)
        return tracing.count, begun, ended, tracing.traced_ns

    def _began(self, function: Any, holds: int, began_ns: int) -> None:
        """A call that began before anything was known of the function."""
        if holds & BOUNDARY:
            self._steps.framework = "tensorflow"
        if holds & UPDATE:
            self._tape.update_begin(id(function), began_ns)
        elif holds & GRADIENTS:
            self._tape.gradients_begin(began_ns)


def gradient_hooks(tape: Tape, differentiated: Callable[[Any], None]) -> Tuple[Begins, Ends]:
    """Of `GradientTape.gradient`: backward, where it runs eagerly; its sources are parameters."""
    steps, begin, end = tape.steps, tape.backward_begin, tape.backward_end

    def begins(gradients: Any, args: Any, kwargs: Any) -> Optional[bool]:
        differentiated(args[1] if len(args) > 1 else kwargs.get("sources"))
        if not _is_backward(tape):
            return None
        steps.framework = "tensorflow"
        begin()
        return True

    return begins, lambda gradients, token: end()


def _is_backward(tape: Tape) -> bool:
    """Whether a gradient is taken here and now; one that is traced marks its graph."""
    if not graphs.is_eager():
        graphs.mark_open_graphs(GRADIENTS)
        return False
    return not graphs.other_replica(tape)


def wrap_next(original: Hook, tape: Tape, guard: Guard, graphs_open: OpenGraphs) -> Hook:
    """An iterator's `__next__`, with its wait and the size of its batch told; not its tracing."""
    opened = graphs_open.opened

    def trains() -> Optional[bool]:
        return True if graphs.is_eager() else None

    tensor: type = getattr(sys.modules.get(graphs.OPS), "EagerTensor", _Unknown)
    shape_of: Any = getattr(tensor, "_shape_tuple", None)  # `shape` makes an object for each size
    return wrap_fetch(original, tape, guard, opened, trains, tensor, shape_of, samples_of)


class _Unknown:
    """The type of no tensor."""


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
