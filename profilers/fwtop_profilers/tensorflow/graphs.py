"""Which traced functions hold an optimizer's update or gradients, and whose thread a replica is.

Owns the marks on TensorFlow's function graphs. An update that is made under tracing marks the graph
under construction and all that enclose it; once traced, the mark goes over to the function's cache
of concrete functions, which all traces of one tf.function share. So a call of that function is
known as a step. A thread-local would fail: MirroredStrategy traces replicas on other threads.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from _thread import get_ident
from typing import Any, Callable, List

from fwtop_profilers.patches import Patches
from fwtop_profilers.tape import Tape

MARK = "_fwtop_holds"
"""Attribute of a FuncGraph, and of the mapping in a function's cache, which itself has slots."""
GRADIENTS = 1
UPDATE = 2
XLA = 4
ASSIGNED = 8
"""A variable that gradients were taken by is assigned to: with gradients, an update by hand."""
DYNAMIC = 16
"""XLA compiles it for each shape of its arguments, though it is traced once."""
_MAX_DEPTH = 64
OPS = "tensorflow.python.framework.ops"
_CONTEXT = "tensorflow.python.eager.context"
MAIN_THREAD = threading.main_thread().ident or 0
"""It runs no replica; asked for first, for this is asked at each call of a function."""


def is_eager() -> bool:
    """Whether TensorFlow runs what it is told at once on this thread, rather than tracing it.

    What `executing_eagerly` returns, past its three calls: each hook asks for it.
    """
    module: Any = sys.modules.get(_CONTEXT)
    if module is None:
        return True
    try:
        return bool(module._context._thread_local_data.is_eager)
    except AttributeError:  # there is no context yet, or another version's
        return bool(module.executing_eagerly())


class OpenGraphs:
    """Whether a graph may be open on this thread: what a hook of each step asks before `is_eager`.

    That takes such a hook two microseconds, and TensorFlow's own stack of graphs, which belongs to
    a thread, four: neither is in the caches any more. Where none is open on any thread, and eager
    is what TensorFlow begins with, it is eager.
    """

    __slots__ = ("_context", "opened")

    def __init__(self) -> None:
        self.opened: List[bool] = [True]
        """One for each graph that is open on any thread; until `watch`, perhaps one. A list, for
        threads may add and remove at the same time."""
        self._context: Any = sys.modules.get(_CONTEXT)

    def watch(self, patches: Patches) -> None:
        """From now on know of each. Raises AttributeError for another version of TensorFlow."""
        stack, opened = sys.modules[OPS]._default_graph_stack, self.opened

        def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
            @contextlib.contextmanager  # which serves as a decorator, too, as TensorFlow's does
            @functools.wraps(original)
            def get_controller(*args: Any, **kwargs: Any) -> Any:
                with original(*args, **kwargs) as graph:
                    opened.append(True)
                    try:
                        yield graph
                    finally:
                        opened.pop()

            return get_controller

        patches.replace(type(stack), "get_controller", wrap)
        if not stack.stack:
            opened.clear()

    @property
    def begins_eager(self) -> bool:
        """Whether TensorFlow runs at once what stands in no graph; no longer in a script that has
        gone back to TensorFlow 1's graphs."""
        return bool(getattr(self._context, "default_execution_mode", 0))


def mark_open_graphs(holds: int) -> None:
    """The graph under construction on this thread, and those around it, hold so much."""
    ops: Any = sys.modules[OPS]
    mark_graph(ops.get_default_graph(), holds)


def mark_graph(graph: Any, holds: int) -> None:
    """A graph, and those around it, hold so much."""
    for _ in range(_MAX_DEPTH):
        if graph is None:
            return
        setattr(graph, MARK, getattr(graph, MARK, 0) | holds)
        graph = getattr(graph, "outer_graph", None)


def holds(cache: Any) -> int:
    """What the functions in this cache hold. Raises AttributeError for an unknown kind of cache."""
    return int(getattr(cache._primary, MARK, 0))


def note(cache: Any, graph: Any) -> None:
    """A function of this cache has been traced as `graph`."""
    found = getattr(graph, MARK, 0)
    if found & ASSIGNED and found & GRADIENTS:
        found |= UPDATE
    if found and cache is not None:
        setattr(cache._primary, MARK, holds(cache) | found)


def traced_update(tape: Tape) -> bool:
    """Whether an optimizer's update is no boundary of its own: traced, or another replica's."""
    if not is_eager():
        mark_open_graphs(UPDATE)
        return True
    return other_replica(tape)


def other_replica(tape: Tape) -> bool:
    """Whether this thread runs a replica that is not counted; the first one is, as its caller's.

    MirroredStrategy runs each replica's eager code on a thread of its own, one after the other,
    while the training thread waits.
    """
    if get_ident() == MAIN_THREAD:
        return False
    thread = threading.current_thread()
    if type(thread).__name__ != "_MirroredReplicaThread":
        return False
    if getattr(thread, "replica_id", 0):
        return True
    main = threading.main_thread().ident
    if thread.ident is not None and main is not None:
        tape.compute_for(thread.ident, main)
    return False
