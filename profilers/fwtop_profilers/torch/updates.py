"""Whether parameters were updated, where no optimizer step can be seen.

A compiled optimizer step runs no hook. But it changes parameters in place, which bumps their
version, and `zero_grad` drops their gradients. One parameter that had a gradient tells.
"""

from __future__ import annotations

import weakref
from typing import Any, List, Optional

MAX_OPTIMIZERS = 8
MAX_PARAMETERS = 64


class Updates:
    """Looks at one parameter of the script's optimizers; holds none of them alive."""

    def __init__(self) -> None:
        self._optimizers: List[Any] = []
        self._parameter: Any = None
        self._version = 0

    def add(self, optimizer: Any) -> None:
        """An optimizer was made."""
        self._optimizers = [*self._optimizers[1 - MAX_OPTIMIZERS :], weakref.ref(optimizer)]

    def backward_ended(self) -> None:
        """Remember a parameter that has a gradient now."""
        parameter = self._find()
        self._parameter = None if parameter is None else weakref.ref(parameter)
        self._version = 0 if parameter is None else parameter._version

    def changed(self) -> Optional[bool]:
        """Whether it was updated, or its gradient dropped, since; None if there is none."""
        parameter = self._parameter() if self._parameter is not None else None
        if parameter is None:
            return None
        return parameter.grad is None or parameter._version != self._version

    def device(self) -> Optional[str]:
        """The device that the newest optimizer's parameters are on."""
        for reference in reversed(self._optimizers):
            optimizer = reference()
            for group in getattr(optimizer, "param_groups", []):
                for parameter in group["params"]:
                    return str(parameter.device)
        return None

    def _find(self) -> Any:
        current = self._parameter() if self._parameter is not None else None
        if current is not None and current.grad is not None:
            return current
        looked_at = 0
        for reference in self._optimizers:
            for group in getattr(reference(), "param_groups", []):
                for parameter in group["params"]:
                    looked_at += 1
                    if parameter.grad is not None:
                        return parameter
                    if looked_at > MAX_PARAMETERS:
                        return None
        return None
