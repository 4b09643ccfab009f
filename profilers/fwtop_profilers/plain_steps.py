"""Steps like the one before, taken whole: what the rules come to for nearly all steps of a script.

Owns the short cut through the rules where a fetch, a backward and an optimizer's step follow one
another, or a fetch and a call of compiled code that ends with an update. The rules ask at each
boundary what may have happened since the last one; here all of that is asked once, and a step takes
half the time. Anything else is the rules', which decide what a step is: what is found here is what
they would have found (tests/profilers/test_tape.py compares them).
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Deque, Tuple

from fwtop_profilers.open_step import Part
from fwtop_profilers.steps import PAUSE_NS
from fwtop_profilers.whole_steps import WholeSteps

PLAIN_ROWS = 6
"""Boundaries of the longer kind; so many must be there."""


class PlainSteps(WholeSteps):
    """One process's steps; the plain ones by the short cut."""

    def __init__(self, step_on: str = "auto") -> None:
        super().__init__(step_on)
        fetch = self.input_begin, self.input_end
        update = self.optimizer_begin, self.optimizer_end
        self._plain = (*fetch, self.backward_begin, self.backward_end, *update)
        self._plain_compiled = (*fetch, self.update_begin, self.update_end)

    def take_plain(self, rows: Deque[Tuple[Any, ...]], before_ns: int) -> int:
        """Take a step from the front of a tape's rows, at least `PLAIN_ROWS` of them, that ended
        before `before_ns`. How many rows it was: 0 where the rules must look at them."""
        a, b, c, d, e, f = islice(rows, PLAIN_ROWS)
        rules, by = (a[0], b[0], c[0], d[0], e[0], f[0]), a[2]
        if rules == self._plain:
            began, last = e, f
            if not by == c[2] == d[2] or not (self._any_backward and self._any_optimizer):
                return 0
        elif rules[:4] == self._plain_compiled:
            began, last = c, d
        else:
            return 0
        (_, training), got, key, ended_ns = a[4], b[4], began[4], last[1]
        if (
            not by == b[2] == began[2] == last[2] == self._owner
            or not training
            or len(got) != 1
            or not key == last[4] == self._cycle.learnt
            or ended_ns >= before_ns
            or not self._is_between_steps(a[1])
        ):
            return 0
        part, self._part = self._part, Part(ended_ns)
        part.input = b[1] - a[1]
        part.samples = got[0]
        if last is f:
            part.forward = c[1] - b[1]
            part.backward = d[1] - c[1]
            part.backwards = 1
            part.optimizer = ended_ns - e[1]
            self._forward_from = ended_ns
        else:
            part.opaque = True
            self._forward_from = None
        self._backwards += 1
        self._stepped_at[key[0]] = self._backwards
        self._lonely = 0
        self._fetched = False
        self.framework = began[3] or self.framework
        self.at_ns, self.by = ended_ns, by
        taken = len(self._plain if last is f else self._plain_compiled)
        for _ in range(taken):
            rows.popleft()
        self._finished(part, ended_ns)
        return taken

    def _is_between_steps(self, now: int) -> bool:
        """Whether a step of an optimizer ended as plainly, and nothing was told of since."""
        part, cycle = self._part, self._cycle
        return not (
            self.source != "optimizer"
            or self.is_chosen
            or self._in_gap
            or part.start is None
            or now - part.start > PAUSE_NS
            or part.flags
            or part.input
            or part.backwards
            or part.optimizer
            or part.forward is not None
            or part.samples is not None
            or part.given is not None
            or part.opaque
            or self._candidate is not None
            or self._spans is not None
            or self.on_boundary
            or self._fetches.runs
            or self._input_begin is not None
            or self._input_step_keys
            or self._backward_depth
            or self._stepped_in_backward
            or self._optimizers
            or self._scaler_stepped is not None
            or self._units
            or self._calls
            or self._judging_from is not None
            or self._judged_ns is not None
            or self._batch_open
            or cycle._seen
            or cycle._before
            or not self.trained
            or not self._any_input
        )
