"""Steps whose update runs unseen: in compiled code, or by hand.

Owns what `StepTracker` needs where no optimizer's boundary can be told of on its own:

- `update_begin` / `update_end`: one call of compiled code that ends with an optimizer's update
  (source `optimizer`), and `gradients_begin` / `gradients_end` for one that holds forward and
  backward alone. What lies within cannot be told apart: the step is opaque, its phases unknown.
- `Updates`: what a framework can tell of its parameters, where backwards alone are seen.
"""

from __future__ import annotations

from typing import Dict, Optional, Protocol

from fwtop_profilers.steps import StepTracker

MAX_ACCUMULATED = 64
"""After so many backwards without an update that could be seen, each is a step."""


class Updates(Protocol):
    """What a framework can say of its parameters while no optimizer step is seen."""

    def backward_ended(self) -> None:
        """A backward has ended: remember what the parameters are like."""

    def changed(self) -> Optional[bool]:
        """Whether they were updated, or gradients dropped, since; None if there is no telling."""


class CompiledCalls(StepTracker):
    """One process's steps, with those that compiled code holds."""

    def __init__(self, step_on: str = "auto") -> None:
        self.updates: Dict[str, Updates] = {}
        """By framework; each framework's probe adds its own."""
        super().__init__(step_on)
        self.parameters_changed = self._changed
        self.on_backward_end = self._remember

    def reset(self) -> None:
        """Begin anew; listeners stay."""
        super().reset()
        self.framework = ""
        """Which framework's steps these are, where a process has several; empty: not told."""

    def update_begin(self, key: int, began_ns: Optional[int] = None) -> None:
        """Compiled code that ends with an optimizer's update begins, or began at `began_ns`."""
        if self._backward_depth or not self._follows(True):
            return
        optimizers = self._optimizers
        if key in optimizers:
            optimizers.clear()  # its last call raised
        if optimizers:
            optimizers.append(key)
            return
        self._settle(self.at_ns if began_ns is None else began_ns)
        optimizers.append(key)
        self._backwards += 1  # it holds its own
        self._forward_from = None
        self._optimizer_begins(key, self._set_source("optimizer"))
        self._part.opaque = True  # after: the step before may have been closed with hindsight
        if self.on_boundary:
            self._boundary("update_begin", self._optimizer_begin)

    def update_end(self, key: int) -> None:
        """It ended."""
        optimizers = self._optimizers
        if not optimizers or optimizers[-1] != key or self.by != self._owner:
            return
        optimizers.pop()
        if optimizers:
            return
        self._forward_from = None
        if self.source == "optimizer":
            self._optimizer_ends(key, self.at_ns)

    def gradients_begin(self, began_ns: Optional[int] = None) -> None:
        """Compiled code that holds forward and backward begins, or began at `began_ns`."""
        if began_ns is not None and self._part.start is None and self._follows(True):
            self._settle(began_ns)
        self.backward_begin()
        self._part.opaque = True

    def gradients_end(self) -> None:
        """It ended."""
        self.backward_end()

    def awaits_optimizer(self) -> bool:
        """Whether backwards so far are taken for accumulation, since an optimizer was made."""
        waits = self._optimizers_made > 0 and self.source != "backward"
        return waits and self._part_backwards() < MAX_ACCUMULATED

    def _changed(self) -> Optional[bool]:
        updates = self.updates.get(self.framework)
        return None if updates is None else updates.changed()

    def _remember(self) -> None:
        updates = self.updates.get(self.framework)
        if updates is not None:
            updates.backward_ended()
