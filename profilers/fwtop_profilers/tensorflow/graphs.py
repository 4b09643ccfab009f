"""Which traced functions hold an optimizer's update or gradients, and whose thread a replica is.

Owns the marks on TensorFlow's function graphs. An update that is made under tracing marks the graph
under construction and all that enclose it; once traced, the mark goes over to the function's cache
of concrete functions, which all traces of one tf.function share. So a call of that function is
known as a step. A thread-local would fail: MirroredStrategy traces replicas on other threads.
"""

from __future__ import annotations

import sys
import threading
from _thread import get_ident
from typing import Any

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
_OPS = "tensorflow.python.framework.ops"
_CONTEXT = "tensorflow.python.eager.context"
_BY_DEFAULT = "default_execution_mode"
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


class MayTrace:
    """What a hook of each step asks before `is_eager`, which takes such a hook two microseconds:
    where no graph is open on this thread, and eager is what TensorFlow begins with, it is eager."""

    __slots__ = ("context", "graphs")

    def __init__(self) -> None:
        ops, context = sys.modules.get(_OPS), sys.modules.get(_CONTEXT)
        known = hasattr(ops, "_default_graph_stack") and hasattr(context, _BY_DEFAULT)
        self.graphs: Any = getattr(ops, "_default_graph_stack", None) if known else _Unknown
        """`.stack`: those that are open on the thread that asks."""
        self.context: Any = context if known else _Unknown
        """`.default_execution_mode`: 0 in a script that has gone back to TensorFlow 1's graphs."""


class _Unknown:
    """Of another version: `is_eager` is to be asked."""

    stack = (None,)
    default_execution_mode = 0


def mark_open_graphs(holds: int) -> None:
    """The graph under construction on this thread, and those around it, hold so much."""
    ops: Any = sys.modules[_OPS]
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
