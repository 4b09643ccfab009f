"""Replacing an attribute of somebody else's, so that it can be put back."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple


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
        self._replaced: List[Tuple[Any, str, Any, Any, bool]] = []

    def replace(
        self, owner: Any, name: str, make: Callable[[Any], Any], file: Optional[str] = None
    ) -> None:
        """Set `owner.name`, its own or inherited, to `make(original)`, unless it is ours already.

        `file` is where the wrapper says that it is written, if not where the original is. Raises
        AttributeError if the owner has no such attribute.
        """
        original, is_own = getattr(owner, name), name in vars(owner)
        if getattr(original, "fwtop_original", None) is not None:
            return
        replacement = make(original)
        replacement.fwtop_original = original
        look_like(replacement, original)
        if file is not None:
            replacement.__code__ = replacement.__code__.replace(co_filename=file)
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, original, replacement, is_own))

    def undo(self) -> None:
        """Put back what nobody else has replaced since."""
        while self._replaced:
            owner, name, original, replacement, is_own = self._replaced.pop()
            if getattr(owner, name, None) is not replacement:
                continue
            if is_own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)  # what it inherits serves again
