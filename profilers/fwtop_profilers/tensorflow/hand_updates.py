"""Updates that a script makes by hand: assignments to variables that it has differentiated by.

Owns which variables those are, and what an assignment to one means: run eagerly, that parameters
changed since the last backward; under tracing, that the function holds an update, if it holds the
gradients too. Accumulators, moving averages and metrics are no sources of a gradient, so what is
assigned to them says nothing. No variable is held alive, or looked into.
"""

from __future__ import annotations

import itertools
from typing import Any, Iterator, Optional, Set, Tuple

from fwtop_profilers.tensorflow import graphs
from fwtop_profilers.whole_steps import WholeSteps

MAX_SOURCES = 64
"""So many of a gradient's sources are known again: who updates by hand updates them all."""
MAX_GRADIENTS = 64
"""Kinds of gradients, by what they are taken by (a GAN has two), before all are learnt anew."""


class HandUpdates:
    """The differentiated variables of one process, and whether one was assigned to."""

    def __init__(self, steps: WholeSteps) -> None:
        self._steps = steps
        self._sources: Set[int] = set()
        self._known: Set[Tuple[int, int, int]] = set()
        self._made = False

    def differentiated(self, sources: Any) -> None:
        """A gradient is taken by `sources`: a variable, or lists, tuples and dicts of them."""
        key = _key(sources)
        if key in self._known:
            return
        if len(self._known) >= MAX_GRADIENTS:
            self._known.clear()
            self._sources.clear()
        self._known.add(key)
        self._sources.update(map(id, itertools.islice(_variables(sources, 0), MAX_SOURCES)))

    def assigned(self, variable: Any, args: Any = (), kwargs: Any = None) -> None:
        """A variable is assigned to; nothing of it is told at its end."""
        if id(variable) not in self._sources:
            return
        if graphs.is_eager():
            self._made = True
        else:
            graphs.mark_open_graphs(graphs.ASSIGNED)

    def called(self) -> None:
        """A traced function that assigns is called."""
        self._made = True

    def backward_ended(self) -> None:
        """From here on an assignment is an update."""
        self._made = False

    def changed(self) -> Optional[bool]:
        """Whether one was made since; False too while an optimizer's is waited for."""
        if self._made:
            return True
        return False if self._steps.awaits_optimizer() else None


def _key(sources: Any) -> Tuple[int, int, int]:
    if isinstance(sources, (list, tuple)) and sources:
        return (len(sources), id(sources[0]), id(sources[-1]))
    return (1, id(sources), 0)


def _variables(source: Any, depth: int) -> Iterator[Any]:
    """What of a source may be assigned to: Keras' variables hold one, distributed ones several."""
    if depth > 4:
        return
    if isinstance(source, dict):
        source = list(source.values())
    if isinstance(source, (list, tuple)):
        for part in source[:MAX_SOURCES]:
            yield from _variables(part, depth + 1)
        return
    yield source
    inner = getattr(source, "_value", None) if hasattr(type(source), "assign") else None
    if inner is not None and inner is not source and not callable(inner):
        yield from _variables(inner, depth + 1)
    parts = getattr(source, "_values", None)
    if isinstance(parts, tuple):
        yield from _variables(parts, depth + 1)
