"""Which of the things that repeat in a loop ends a step.

Owns the learning of one cycle of keys (optimizers, top-level modules); knows no clock and no
framework. Decided here:

- One optimizer: each of its steps ends a step.
- Several in turn (a GAN's D then G; Muon and AdamW side by side): a step ends with the last of
  the set, once the set has been seen to repeat. Until then the end is only known when the first
  of them comes round again, and the step is closed with hindsight.
- One that steps k times per step of another (WGAN's critic): the one that repeats marks the
  boundary, so each critic update is a step, and the generator's update is part of the step next
  to it.
- One that appears later (a discriminator that starts after a warm-up) is learnt anew. What
  follows says whether it was the tail of a step that was closed too early (one of the known set
  comes next), or the first of another loop (it comes again before any of them).
"""

from __future__ import annotations

from typing import List, Optional, Tuple


class Cycle:
    """The keys of one step, in their order, learnt from the sequence of keys."""

    __slots__ = ("_before", "_candidate", "_confirmations", "_needed", "_seen", "learnt")

    def __init__(self) -> None:
        self.learnt: Optional[Tuple[int, ...]] = None
        self._seen: List[int] = []
        self._before: Tuple[int, ...] = ()
        """The set that was known, while what is seen may be the tail of its last step."""
        self._candidate: Tuple[int, ...] = ()
        self._confirmations = 0
        self._needed = 1

    @property
    def is_under_way(self) -> bool:
        """Whether a key of the open step has been seen, and is not the last one's tail."""
        return bool(self._seen) and not self._before

    def assume(self, key: int) -> None:
        """Take it that `key` is the only one, because no other exists yet."""
        if self.learnt is None and not self._seen:
            self.learnt = (key,)

    def begins(self, key: int, new_iteration: bool) -> bool:
        """Whether a step ended before this key, where the last key ended.

        `new_iteration` tells that the loop fetched a batch since the last step ended.
        """
        if key in self._before:
            self._seen.clear()
            self._before = ()
        if key in self._seen:
            self._repeat(tuple(self._seen))
            self._seen = [key]
            return True
        if self.learnt is not None and key not in self.learnt:
            before = self.learnt
            self._forget()
            self._before = () if new_iteration else before
        self._seen.append(key)
        return False

    def ends(self, key: int) -> bool:
        """Whether the step ends with this key, which has just ended."""
        if self.learnt is None or key != self.learnt[-1] or key not in self._seen:
            return False
        self._seen.clear()
        return True

    def reset_step(self) -> None:
        """The step was closed for another reason: the next key starts a new one."""
        self._seen.clear()
        self._before = ()

    def _repeat(self, seen: Tuple[int, ...]) -> None:
        self._before = ()
        if self.learnt is not None:
            if seen == self.learnt:
                return
            self._forget()
        if seen == self._candidate:
            self._confirmations += 1
        else:
            self._candidate, self._confirmations = seen, 1
        if self._confirmations >= self._needed:
            self.learnt = seen

    def _forget(self) -> None:
        self.learnt = None
        self._candidate, self._confirmations = (), 0
        self._needed = 2  # it was wrong once: be slower to believe
        self._seen.clear()
        self._before = ()
