"""Replacing an attribute of somebody else's, so that it can be put back."""

from __future__ import annotations

from typing import Any, Callable, List, Tuple


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
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, original, replacement))

    def undo(self) -> None:
        """Put back what nobody else has replaced since."""
        while self._replaced:
            owner, name, original, replacement = self._replaced.pop()
            if getattr(owner, name, None) is replacement:
                setattr(owner, name, original)
