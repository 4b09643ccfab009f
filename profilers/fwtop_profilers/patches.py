"""Replacing an attribute of somebody else's, so that it can be put back."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple


def look_like(replacement: Any, original: Any) -> None:
    """Give a wrapper the file and name of what it wraps.

    Dynamo decides by a function's file what to trace, what to skip, and what to say of a graph
    break. torch's own files are skipped: so is the wrapper then, and compiling a script under fwtop
    gives the same frames, breaks and compile ids as without.
    """
    wrapper, wrapped = replacement.__code__, getattr(original, "__code__", None)
    if wrapped is None:
        return
    names = {"co_filename": wrapped.co_filename, "co_name": wrapped.co_name}
    names["co_firstlineno"] = wrapped.co_firstlineno
    if hasattr(wrapped, "co_qualname"):
        names["co_qualname"] = wrapped.co_qualname
    replacement.__code__ = wrapper.replace(**names)


class Patches:
    """Attributes replaced, in order."""

    def __init__(self) -> None:
        self._replaced: List[Tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Set `owner.name` to `make(original)`, unless it is ours already.

        Raises AttributeError if the owner has no such attribute.
        """
        original = getattr(owner, name)
        if getattr(original, "fwtop_original", None) is not None:
            return
        replacement = make(original)
        replacement.fwtop_original = original
        look_like(replacement, original)
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, original, replacement))

    def undo(self) -> None:
        """Put back what nobody else has replaced since."""
        while self._replaced:
            owner, name, original, replacement = self._replaced.pop()
            if getattr(owner, name, None) is replacement:
                setattr(owner, name, original)
