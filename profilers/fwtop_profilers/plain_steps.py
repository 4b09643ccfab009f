"""Steps like the one before, taken whole: what the rules come to for nearly all steps of a script.

Owns the short cut through the rules where what is told of is what was told of the step before: a
fetch, a backward and an optimizer's step; a fetch and a call of compiled code that ends with an
update; or such a call in a batch of the framework's own loop. The rules ask at each boundary what
may have happened since the last one. Here all of that is asked once, and not again while one plain
step follows another. Anything else is the rules', which decide what a step is: what is found here
is what they would have found (tests/profilers/test_tape.py compares them).
"""

from __future__ import annotations

from typing import Any, Callable, Deque, Tuple

from fwtop_profilers.open_step import Part
from fwtop_profilers.steps import PAUSE_NS
from fwtop_profilers.whole_steps import WholeSteps

Boundary = Tuple[Callable[..., None], int, str, Tuple[Any, ...]]
"""(rule, thread, framework that computes or '', what the rule is given): what the rows of a loop
have in common, step for step."""
Row = Tuple[int, Boundary]
"""When a boundary was there, in monotonic ns, and which one."""
PLAIN_ROWS = 6
"""Boundaries of the longest kind; so many must be there."""


class PlainSteps(WholeSteps):
    """One process's steps; the plain ones by the short cut."""

    def __init__(self, step_on: str = "auto") -> None:
        super().__init__(step_on)
        fetch = self.input_begin, self.input_end
        update = self.update_begin, self.update_end
        optimizer = self.optimizer_begin, self.optimizer_end
        self._eager = (*fetch, self.backward_begin, self.backward_end, *optimizer)
        self._compiled = (*fetch, *update)
        self._batch = (self.batch_begin, *update, self.batch_end)

    def reset(self) -> None:
        """Begin anew; listeners stay."""
        super().reset()
        self.was_plain = False
        """Whether nothing was told of since a plain step; the tape unsets it."""
        self._like: Tuple[Boundary, ...] = ()
        """The boundaries of the plain step before."""

    def take_plain(self, rows: Deque[Row], before_ns: int) -> int:
        """Take a step from the front of a tape's rows, at least `PLAIN_ROWS` of them, that ended
        before `before_ns`. How many rows it was: 0 where the rules must look at them."""
        # By index: an iterator raises where the training thread notes a boundary meanwhile.
        (a_ns, a), (b_ns, b), (c_ns, c) = rows[0], rows[1], rows[2]
        (d_ns, d), (e_ns, e), (f_ns, f) = rows[3], rows[4], rows[5]
        like = self._like
        if not self.was_plain or ((a, b, c, d) != like and (a, b, c, d, e, f) != like):
            like = self._like = self._plain((a, b, c, d, e, f))
            if not like or not self._is_between_steps():
                return 0
        is_eager = len(like) == PLAIN_ROWS
        ended_ns = f_ns if is_eager else d_ns
        part = self._part
        if (
            ended_ns >= before_ns
            or part.start is None
            or a_ns - part.start > PAUSE_NS
            or self.on_boundary
            or self._spans is not None
        ):
            return 0
        self._backwards += 1
        self._forward_from = None
        if self.source == "batch":
            part.opaque = True
            (part.samples,) = d[3]
        else:
            part.input = b_ns - a_ns
            (part.samples,) = b[3]
            self._lonely = 0
            self._fetched = False
            if is_eager:
                part.forward = c_ns - b_ns
                part.backward = d_ns - c_ns
                part.backwards = 1
                part.optimizer = f_ns - e_ns
                self._forward_from = f_ns
            else:
                part.opaque = True
            self._stepped_at[(e if is_eager else c)[3][0]] = self._backwards
        for _ in like:
            rows.popleft()
        self.at_ns, self.by = ended_ns, a[1]
        self._part = Part(ended_ns)
        self._finished(part, ended_ns)
        self.was_plain = True
        return len(like)

    def _plain(self, boundaries: Tuple[Boundary, ...]) -> Tuple[Boundary, ...]:
        """Those of a plain step that these begin with; none where they do not."""
        rules = tuple(boundary[0] for boundary in boundaries)
        if self.source == "batch" and rules[:4] == self._batch:
            like = boundaries[:4]
            computes, gives = like[1:3], like[3]
        elif self.source == "optimizer" and rules[:4] == self._compiled:
            like = boundaries[:4]
            computes, gives = like[2:], like[1]
        elif self.source == "optimizer" and rules == self._eager:
            like = boundaries
            computes, gives = like[4:], like[1]
            if not (self._any_backward and self._any_optimizer):
                return ()
        else:
            return ()
        (_, _, framework, key), (_, _, _, ended) = computes
        if key != ended or len(gives[3]) != 1 or any(by != self._owner for _, by, _, _ in like):
            return ()
        if self.source == "optimizer" and (key != self._cycle.learnt or not like[0][3][1]):
            return ()
        self.framework = framework or self.framework
        return like

    def _is_between_steps(self) -> bool:
        """Whether a step ended as plainly, and nothing was told of since."""
        part, cycle = self._part, self._cycle
        return not (
            self.is_chosen
            or self._in_gap
            or part.flags
            or part.input
            or part.backwards
            or part.optimizer
            or part.forward is not None
            or part.samples is not None
            or part.given is not None
            or part.opaque
            or self._candidate is not None
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
            or not (self._any_input or self.source == "batch")
        )
