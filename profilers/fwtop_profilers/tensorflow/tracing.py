"""Tracing and retracing of tf.functions, XLA compiles, and what AutoGraph gave up on, as events.

Owns the wraps that see a function being traced. What is TensorFlow's own stays out: the second
trace that it makes of a function whose first one created variables, and the functions of its input
pipelines. The time of a trace is the wall time of building its graph, functions within included
(they name it as their parent).

XLA compiles in C++ within the first call after a trace, and again for new shapes of arguments whose
shapes the trace leaves open (`xla`). What can be had from here is that call's wall time less the
trace's, the first execution included; the event says so. Shapes that only vary within a graph (the
last batch of a data set that the graph iterates over) are not seen.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns
from fwtop_profilers.guard import Guard
from fwtop_profilers.probe import Context
from fwtop_profilers.tensorflow import graphs, signatures, xla
from fwtop_profilers.wraps import hide

Hook = Callable[..., Any]

OWN_NAMES = ("Dataset_", "_next_func", "_init_func", "_finalize_func", "_remote_")
"""Beginnings of the names of functions that TensorFlow makes for its input pipelines."""
REMADE = 3
"""So many tf.functions of the same code are one that is made anew each time."""
MAX_PLACES = 4096
XLA_ATTRIBUTE = "_XlaMustCompile"


class Place(NamedTuple):
    """Where a function is written."""

    name: str
    file: Optional[str]
    line: Optional[int]


class Tracing:
    """The tracing of one process."""

    def __init__(self, context: Context, guard: Guard, began: Callable[[], None]) -> None:
        self._context = context
        self._guard = guard
        self._began = began
        """Told when a trace begins, whoever's it is."""
        self._own = (_folder("tensorflow"), _folder("keras"), _folder("tf_keras"))
        self._stacks = threading.local()
        self._made = 0
        self._caches: Dict[Place, Set[int]] = {}
        self.count = 0
        """Traces so far, hidden ones as well."""
        self.traced_ns = 0
        """What the outermost ones of them took."""

    # --- functions ------------------------------------------------------------------------------

    def wrap_create(self, original: Hook) -> Hook:
        """`_create_concrete_function`: the tracing of a function."""
        guard = self._guard

        @functools.wraps(original)
        def create(function_type: Any, type_context: Any, func_graph: Any, options: Any) -> Any:
            told = not guard.off
            event: Optional[wire.CompileEvent] = None
            begin = now_ns()
            if told:
                try:
                    event = self._begins(function_type, options, begin)
                except Exception as error:
                    guard.fail(error)
            try:
                return original(function_type, type_context, func_graph, options)
            except BaseException as raised:
                hide(raised)
                raise
            finally:
                if told:
                    try:
                        self._ends(event, begin, func_graph, options)
                    except Exception as error:
                        guard.fail(error)

        return create

    def _begins(self, function_type: Any, options: Any, begin: int) -> Optional[wire.CompileEvent]:
        self.count += 1
        stack = self._stack()
        stack.append("")
        if len(stack) == 1:
            self._began()
        self._context.tape.flag(wire.STEP_COMPILED)
        place = place_of(options.python_function)
        earlier = _earlier(options)
        if self._is_own(options, place) or _is_second(function_type, options, earlier):
            return None
        self._made += 1
        event = wire.CompileEvent(
            key="tf-%d-%d" % (os.getpid(), self._made),
            kind="trace",
            start_ns=begin,
            duration_ns=None,
            name=place.name,
            parent_key=next((key for key in reversed(stack) if key), None),
            function=place.name,
            file=place.file,
            line=place.line,
            step_index=self._context.steps.index,
            detail=_without_none({
                "signature": signatures.describe(function_type),
                "called_at": _caller(self._own),
            }),
        )  # fmt: skip
        event = self._explained(event, function_type, options, earlier, place)
        stack[-1] = event.key
        self._context.send(event)
        return event

    def _explained(
        self,
        event: wire.CompileEvent,
        function_type: Any,
        options: Any,
        earlier: List[Tuple[Any, Any]],
        place: Place,
    ) -> wire.CompileEvent:
        scope = str(getattr(options, "scope_type", ""))
        same = [kind for context, kind in earlier if str(_scope(context)) == scope]
        kinds = same or [kind for _, kind in earlier]
        why = signatures.cause(function_type, kinds)
        if why is not None:
            if not why:
                why = "the context changed (a device, a distribution strategy or an outer graph)"
            return _with(event, kind="retrace", reason=why)
        if place.file is None or self._lies_in(place.file, self._own):
            return event
        times = self._times_made(place, options.function_cache)
        if times < 2:
            return event
        why = "a new tf.function of the same code, number %d of them" % times
        if times >= REMADE:
            why += ": make it once, outside of the loop"
        return _with(event, kind="retrace" if times >= REMADE else "trace", reason=why)

    def _times_made(self, place: Place, cache: Any) -> int:
        if len(self._caches) >= MAX_PLACES:
            self._caches.clear()
        caches = self._caches.setdefault(place, set())
        caches.add(-self.count if id(cache) in caches else id(cache))  # an id may come again
        return len(caches)

    def _ends(
        self, event: Optional[wire.CompileEvent], begin: int, func_graph: Any, options: Any
    ) -> None:
        took = now_ns() - begin
        stack = self._stack()
        if stack:
            stack.pop()
        if not stack:
            self.traced_ns += took
        if (options.attributes or {}).get(XLA_ATTRIBUTE):
            graphs.mark_graph(func_graph, graphs.XLA | self._dynamic(func_graph))
        graphs.note(options.function_cache, func_graph)
        if event is not None:
            detail = dict(event.detail)
            operators = _operators(func_graph)
            if operators is not None:
                detail["operators"] = operators
            self._context.send(_with(event, duration_ns=took, detail=detail))

    def _is_own(self, options: Any, place: Place) -> bool:
        if str(options.name).startswith(OWN_NAMES) or place.name.startswith(OWN_NAMES):
            return True
        return place.file is not None and self._lies_in(place.file, self._own[:1])

    @staticmethod
    def _lies_in(path: str, folders: Tuple[Optional[str], ...]) -> bool:
        return any(folder is not None and path.startswith(folder) for folder in folders)

    def _stack(self) -> List[str]:
        """Keys of the traces under way on this thread; empty for those that are not told."""
        stack: Optional[List[str]] = getattr(self._stacks, "keys", None)
        if stack is None:
            stack = self._stacks.keys = []
        return stack

    # --- XLA ------------------------------------------------------------------------------------

    @staticmethod
    def _dynamic(func_graph: Any) -> int:
        """`graphs.DYNAMIC` if shapes are left open that its arguments may have."""
        shapes = [getattr(tensor, "shape", None) for tensor in func_graph.inputs]
        is_open = any(shape is not None and not shape.is_fully_defined() for shape in shapes)
        return graphs.DYNAMIC if is_open else 0

    def called(self, function: Any, begin: int, traced_ns: int, given: Any) -> None:
        """A function was called from `begin` to now with what was `given`, and traced within;
        `traced_ns` as it began."""
        if not graphs.holds(function._function_cache) & graphs.XLA:
            return
        xla.is_new(function._function_cache, given)
        traced = self.traced_ns - traced_ns
        self._compiled(function, begin + traced, "compiled by XLA")

    def called_again(self, function: Any, begin: int, given: Any) -> bool:
        """It was called without being traced; returns whether XLA compiled it for new shapes."""
        if not xla.is_new(function._function_cache, given):
            return False
        self._compiled(function, begin, "compiled by XLA for " + xla.describe(given))
        return True

    def _compiled(self, function: Any, begin: int, how: str) -> None:
        place = place_of(getattr(function, "_python_function", None))
        self._made += 1
        self._context.send(
            wire.CompileEvent(
                key="tf-%d-%d" % (os.getpid(), self._made),
                kind="xla",
                start_ns=begin,
                duration_ns=max(0, now_ns() - begin),
                name=place.name,
                function=place.name,
                file=place.file,
                line=place.line,
                reason=how + "; the time includes the first execution",
                step_index=self._context.steps.index,
            )
        )

    # --- AutoGraph ------------------------------------------------------------------------------

    def wrap_fallback(self, original: Hook) -> Hook:
        """`_fall_back_unconverted`: a function that AutoGraph runs as it is."""
        guard = self._guard

        @functools.wraps(original)
        def fall_back(f: Any, args: Any, kwargs: Any, options: Any, exc: Any) -> Any:
            try:
                if not guard.off:
                    self._fell_back(f, exc)
            except Exception as error:
                guard.fail(error)
            try:
                return original(f, args, kwargs, options, exc)
            except BaseException as raised:
                hide(raised)
                raise

        return fall_back

    def _fell_back(self, function: Any, error: Any) -> None:
        place = place_of(function)
        self._made += 1
        text = " ".join(str(error).split())[:400]
        self._context.send(
            wire.CompileEvent(
                key="tf-%d-%d" % (os.getpid(), self._made),
                kind="fallback",
                start_ns=now_ns(),
                duration_ns=None,
                name=place.name,
                parent_key=next((key for key in reversed(self._stack()) if key), None),
                function=place.name,
                file=place.file,
                line=place.line,
                reason="AutoGraph runs it as it is: %s" % (text or type(error).__name__),
                step_index=self._context.steps.index,
            )
        )


def place_of(function: Any) -> Place:
    """The user's function within TensorFlow's wrappers, and where it is written."""
    for _ in range(16):
        inner = (
            getattr(function, "__wrapped__", None)
            or getattr(function, "__func__", None)
            or (function.func if isinstance(function, functools.partial) else None)
        )
        if inner is None:
            break
        function = inner
    code = getattr(function, "__code__", None)
    if code is None and not inspect.isroutine(function):
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004
    name = getattr(function, "__name__", None) or type(function).__name__
    if code is None:
        return Place(str(name), None, None)
    return Place(str(name), code.co_filename, code.co_firstlineno)


def _earlier(options: Any) -> List[Tuple[Any, Any]]:
    """(context, function type) of what the function's cache holds, oldest first."""
    cache = options.function_cache
    return [] if cache is None else list(getattr(cache, "_primary", ()))


def _scope(context: Any) -> Any:
    return getattr(context, "scope_type", "")


def _is_second(function_type: Any, options: Any, earlier: List[Tuple[Any, Any]]) -> bool:
    """Whether TensorFlow traces what it has just traced, without creating variables this time."""
    scope = str(getattr(options, "scope_type", ""))
    if not scope.endswith(".NO_VARIABLE_CREATION"):
        return False
    same = [
        str(_scope(context))
        for context, kind in earlier
        if kind.parameters == function_type.parameters  # what it captures is known afterwards
    ]
    return bool(same) and scope not in same


def _operators(func_graph: Any) -> Optional[int]:
    """How many operators the graph has."""
    try:
        return int(func_graph.num_operations)  # newer ones count in C++
    except (AttributeError, TypeError):
        pass
    try:
        return len(func_graph.get_operations())
    except AttributeError:
        return None


def _caller(own: Tuple[Optional[str], ...]) -> Optional[str]:
    """`file:line` of the nearest frame that is neither TensorFlow's, Keras' nor ours."""
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    frame: Any = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        is_made = path.startswith("<") or "__autograph_generated_file" in path
        if not is_made and not Tracing._lies_in(path, (*own, ours)):
            return "%s:%d" % (path, frame.f_lineno)
        frame = frame.f_back
    return None


def _folder(package: str) -> Optional[str]:
    path = getattr(sys.modules.get(package), "__file__", None)
    return None if path is None else os.path.join(os.path.dirname(os.path.abspath(path)), "")


def _with(event: wire.CompileEvent, **changed: Any) -> wire.CompileEvent:
    return dataclasses.replace(event, **changed)


def _without_none(values: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in values.items() if value}
