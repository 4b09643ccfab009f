"""The shapes that XLA has compiled a function for: each new set of them is compiled in a call.

Owns what is remembered of them, with the function's cache of traces, so for as long as that lives.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Set, Tuple

SEEN = "_fwtop_compiled"
"""Attribute of the mapping in a function's cache."""
MAX_SEEN = 4096
MAX_LEAVES = 256
MAX_DEPTH = 8

Shape = Tuple[Optional[int], ...]


def is_new(cache: Any, given: Any) -> bool:
    """Whether the function has not been called with arguments of these shapes before; now it has.

    Raises AttributeError for an unknown kind of cache.
    """
    seen: Optional[Set[Tuple[Shape, ...]]] = getattr(cache._primary, SEEN, None)
    if seen is None:
        seen = set()
        setattr(cache._primary, SEEN, seen)
    shapes = _shapes(given)
    if shapes in seen or len(seen) >= MAX_SEEN:
        return False
    seen.add(shapes)
    return True


def describe(given: Any) -> str:
    """The shapes in words: `shapes (4, 3), (3)`."""
    words = ["(%s)" % ", ".join(map(str, shape)) for shape in _shapes(given)]
    more = ["..."] if len(words) > 8 else []
    return "shape%s %s" % ("s" if len(words) > 1 else "", ", ".join(words[:8] + more))


def _shapes(given: Any) -> Tuple[Shape, ...]:
    found: List[Shape] = []
    for shape in _walk(given, 0):
        if len(found) >= MAX_LEAVES:
            break
        found.append(shape)
    return tuple(found)


def _walk(value: Any, depth: int) -> Iterator[Shape]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if depth < MAX_DEPTH:
            for part in value:
                yield from _walk(part, depth + 1)
        return
    shape = getattr(value, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return
    try:
        yield tuple(shape)
    except (TypeError, ValueError):  # what calls something else its shape
        return
