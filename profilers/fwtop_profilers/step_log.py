"""What finished steps leave behind: records to send, and figures of the recent past.

Owns the queue between whoever plays the tape (and appends) and the sender's thread (which drains).
Appending and popping a deque are atomic, so there is no lock to hold or to inherit by a fork.
"""

from __future__ import annotations

from collections import deque
from itertools import islice, pairwise
from typing import Deque, Dict, Iterable, List, NamedTuple, Optional

from fwtop_profilers import wire

KEPT_STEPS = 256
"""Finished steps that `between` can still tell of."""
MEDIAN_STEPS = 64
FEWEST_PERIODS = 5
MAX_PENDING = 20_000
"""Finished steps waiting to be drained; the oldest go first."""
_SLOWED_DOWN = wire.STEP_TRACED | wire.STEP_COMPILED


class StepRecord(NamedTuple):
    """A finished step. A phase that was never seen in this process is None."""

    index: int  # type: ignore[assignment]
    start_ns: int
    end_ns: int
    input_ns: Optional[int]
    forward_ns: Optional[int]
    backward_ns: Optional[int]
    optimizer_ns: Optional[int]
    flags: int
    samples: Optional[int]


class StepLog:
    """Finished steps: those still to send, the last 256, and the recent medians."""

    def __init__(self) -> None:
        self._pending: Deque[StepRecord] = deque(maxlen=MAX_PENDING)
        self._recent: Deque[StepRecord] = deque(maxlen=KEPT_STEPS)

    def add(self, step: StepRecord) -> None:
        """Take a finished step. Figures are made when somebody asks: each step pays for this."""
        self._pending.append(step)
        self._recent.append(step)

    def median_step_ns(self) -> Optional[int]:
        """Median duration of the last 64 steps that were neither traced nor compiling.

        None where none of the last 256 was such a step.
        """
        untraced = (step for step in reversed(self._recent.copy()) if not step.flags & _SLOWED_DOWN)
        return _median(step.end_ns - step.start_ns for step in islice(untraced, MEDIAN_STEPS))

    def median_period_ns(self) -> Optional[int]:
        """Median time from one step's end to the next's, over the last 64, gaps included; None for
        under 6 steps.
        """
        ends = [step.end_ns for step in islice(reversed(self._recent.copy()), MEDIAN_STEPS + 1)]
        if len(ends) < FEWEST_PERIODS + 1:
            return None
        return _median(later - earlier for later, earlier in pairwise(ends))

    def between(self, first_index: int, end_index: int) -> List[StepRecord]:
        """Finished steps with first_index <= index < end_index, of the last 256."""
        return [step for step in self._recent.copy() if first_index <= step.index < end_index]

    def drain(self, limit: int) -> Optional[wire.Steps]:
        """Finished steps not drained before, at most `limit`; None if there are none."""
        pending = self._pending
        steps: List[StepRecord] = []
        while pending and len(steps) < limit:
            if steps and pending[0].index != steps[-1].index + 1:
                break  # some were lost: one message holds no hole
            steps.append(pending.popleft())
        return _message(steps) if steps else None


def _median(values: Iterable[int]) -> Optional[int]:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None


def _message(steps: List[StepRecord]) -> wire.Steps:
    columns: Dict[str, List[Optional[int]]] = {
        "input": [step.input_ns for step in steps],
        "forward": [step.forward_ns for step in steps],
        "backward": [step.backward_ns for step in steps],
        "optimizer": [step.optimizer_ns for step in steps],
    }
    samples = [step.samples for step in steps]
    return wire.Steps(
        first_index=steps[0].index,
        start_ns=[step.start_ns for step in steps],
        duration_ns=[step.end_ns - step.start_ns for step in steps],
        phases={
            phase: column
            for phase, column in columns.items()
            if any(value is not None for value in column)
        },
        flags=[step.flags for step in steps],
        samples=samples if any(value is not None for value in samples) else None,
    )
