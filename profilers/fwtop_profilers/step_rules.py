"""When a step begins and ends, which time is whose, and what is a gap.

Owns the decisions behind the boundaries that `steps` takes in; its docstring says what is decided.
Must not import a framework, block, or call anything slow.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.cycles import Cycle
from fwtop_profilers.fetches import Fetches, Own
from fwtop_profilers.open_step import OpenStep, Part

PAUSE_NS = 500_000_000
PAUSE_FACTOR = 5
"""A pause before a step's fetch is a gap if longer than both, the factor being of the period."""
HOLD_NS = 5_000_000_000
HOLD_WITH_OPTIMIZER_NS = 60_000_000_000
"""So long fetches alone are no steps: training may follow, most of all with an optimizer made."""
MAX_HELD = 4096
MAX_KEYS = 1024
MAY_LAG = ("optimizer", "batch", "input")
"""Sources that are decided by boundaries alone. Where backwards end steps, parameters are looked at
as they end; where calls do, what listens to the steps may run within one."""
LONELY_OPTIMIZER_STEPS = 64
"""After so many steps of an optimizer without a backward, backwards are no longer waited for."""


class StepRules(OpenStep):
    """The open step, and the rules by which it ends."""

    def __init__(self, step_on: str = "auto") -> None:
        self._step_on = step_on
        self.at_ns = 0
        """When the boundary was there that is told of; set before each, as `by`."""
        self.by = 0
        """The thread that it was there on."""
        self.parameters_changed: Optional[Callable[[], Optional[bool]]] = None
        """Set by the framework: whether parameters were updated or gradients dropped since
        `on_backward_end`; asked only while no optimizer step can be seen."""
        self.on_backward_end: Optional[Callable[[], None]] = None
        super().__init__()

    def reset(self) -> None:
        """Begin anew, as in a forked child; listeners stay."""
        super().reset()
        self.trained = False
        """Whether any backward or optimizer step has been seen."""
        self.source = None if self._step_on == "auto" else self._step_on
        self._auto = self._step_on == "auto"
        self._owner: Optional[int] = None
        self._cycle = Cycle()
        self._forward_from: Optional[int] = None
        # input
        self._fetches = Fetches()
        self._input_key = 0
        self._input_begin: Optional[int] = None
        self._input_depth = 0
        self._input_training = True
        self._fetched = False
        self._input_step_keys: List[int] = []
        self._held: List[Tuple[Part, int]] = []
        # backward
        self._backwards = 0
        self._backward_depth = 0
        self._backward_begin = 0
        self._stepped_in_backward = False
        self._accumulated = 0
        self._accumulation_learnt = False
        # forward or call, on request
        self._units: List[int] = []
        self._unit_begin = 0
        # optimizer
        self._optimizers: List[int] = []
        self._optimizer_begin = 0
        self._optimizer_own_from = 0
        self._optimizer_inner = 0
        self._optimizer_fresh = True
        self._optimizer_backwards = 0
        self._scaler_stepped: Optional[bool] = None
        self._optimizers_made = 0
        self._stepped_at: Dict[int, int] = {}
        self._lonely = 0

    # --- who may be told late -------------------------------------------------------------------

    @property
    def may_lag(self) -> bool:
        """Whether boundaries may be told of some time after they were there: nobody listens to
        each, and nothing has to be asked of the framework meanwhile."""
        return self.source in MAY_LAG and not self.on_boundary

    @property
    def is_owners(self) -> bool:
        """Whether the boundary is one of the thread that trains."""
        return self.by == self._owner

    # --- deciding -------------------------------------------------------------------------------

    def _follows(self, computes: bool) -> bool:
        """Whether events of this thread count; the thread that computes takes over if it may."""
        ident = self.by
        if ident != self._owner:
            if self._owner is not None:
                if not computes or self._backward_depth or self._optimizers:
                    return False
                self._fetches.clear()
                self._input_begin, self._input_depth = None, 0
            self._owner = ident
        if computes and not self.trained:
            self._training_begins()
        return True

    def _training_begins(self) -> None:
        self.trained = True
        if not self._auto:
            return
        self._held.clear()
        self._input_step_keys.clear()
        self._part = Part(None)
        self._forward_from = None
        self.source = None  # fetches alone counted, and do no more

    def _set_source(self, source: str) -> bool:
        """Adopt a source if the user named none; returns whether it is the one in use."""
        if self.source == source:
            return True
        if not self._auto:
            return False
        self._source_changes(source)
        self.source = source
        self._tell_source()
        return True

    def _source_changes(self, source: str) -> None:
        """Another source is about to be adopted."""

    def _tell_source(self) -> None:
        for listener in self.on_source:
            self._call(listener, self.source or "")

    def _is_untouched(self) -> bool:
        """Whether the open step has computed nothing yet."""
        part = self._part
        return not (
            part.backwards
            or part.optimizer
            or self._backward_depth
            or self._optimizers
            or self._units
        )

    def _begin_again(self, now: int) -> None:
        for listener in self.on_step_begin:
            self._call(listener, self.index, now)

    def _is_unsettled(self) -> bool:
        return bool(self._fetches.runs) or self._in_gap or self._part.start is None

    def _settle(self, now: int) -> None:
        """Computing begins: give the step the fetches that are its own, and find gaps."""
        if self._fetches.runs:
            own = self._fetches.take()
            if (self.source == "input" or not self.trained) and self._counts_inputs():
                return  # already accounted for
            if own.evaluated or self._is_pause(own):
                self._begin_after_gap(own)
            self._take_input(own)
        part = self._part
        if part.start is None:
            part.start = now
        if self._in_gap:
            self._in_gap = False
            self._begin_again(part.start)

    def _is_pause(self, own: Own) -> bool:
        start = self._part.start
        if own.begin is None or start is None or own.begin - start <= PAUSE_NS:
            return False
        period = self.log.median_period_ns()
        return period is not None and own.begin - start > PAUSE_FACTOR * period

    def _begin_after_gap(self, own: Own) -> None:
        self._forward_from = own.end
        if not self._is_untouched():
            return
        self._close_candidate()  # no step goes on over an evaluation
        self._cycle.reset_step()
        part = self._part
        part.start = own.end if own.begin is None else own.begin
        part.flags |= wire.STEP_GAP

    def _take_input(self, own: Own) -> None:
        part = self._part
        if own.end is None or own.begin is None:
            return
        if part.start is None:
            part.start = own.begin
        part.input += own.input_ns
        if own.samples is not None:
            part.samples = (part.samples or 0) + own.samples
        if self._forward_from is None or own.end > self._forward_from:
            self._forward_from = own.end
        if self._spans is not None:
            for run in own.runs:
                self._span("input", run.begin, run.end)

    def _forward_until(self, now: int) -> None:
        begin = self._forward_from
        if begin is None or (self.source == "forward" and self._units_are_forward()):
            return
        part = self._part
        part.forward = (part.forward or 0) + now - begin
        if self._optimizers:
            self._optimizer_inner += now - begin
        if self._spans is not None:
            self._span("forward", begin, now)

    def _units_are_forward(self) -> bool:
        """Whether forward is what the calls take that are the steps, and nothing between them."""
        return True

    def _judge_backward(self) -> None:
        """A backward begins after another without an optimizer step that we could see."""
        changed = self.parameters_changed() if self.parameters_changed is not None else None
        if changed is False:
            self._accumulation_learnt = False
            return
        backwards = self._part_backwards()
        self._accumulation_learnt = backwards == self._accumulated
        self._accumulated = backwards
        self._set_source("backward")
        self._close_candidate()

    def _part_backwards(self) -> int:
        return self._candidate[0].backwards if self._candidate is not None else 0

    def _optimizer_begins(self, key: int, bounds: bool) -> None:
        """The outermost optimizer step, forward or call begins; `bounds`: it may end a step."""
        now = self.at_ns
        if self._is_unsettled():
            self._settle(now)
        if self._part.backwards == 0 and self.source == "optimizer" and self._candidate is None:
            self._forward_until(now)  # gradients came by another way than backward
        self._optimizer_begin = self._optimizer_own_from = now
        self._optimizer_inner = 0
        self._optimizer_backwards = self._backwards  # a closure's own ones come after
        self._forward_from = now
        if not bounds:
            return
        self._optimizer_fresh = self._is_fresh(key)
        if self._optimizer_fresh:
            if self._optimizers_made == 1:
                self._cycle.assume(key)
            if self._cycle.begins(key, self._fetched):
                self._close_candidate()

    def _is_fresh(self, key: int) -> bool:
        """Whether gradients were made since this optimizer last stepped: one that steps several
        times for one backward (its parameters in groups) makes one step."""
        if self.source != "optimizer" or not self._any_backward:
            return True
        if self._stepped_at.get(key) != self._backwards:
            self._lonely = 0
            return True
        self._lonely += 1
        return self._lonely >= LONELY_OPTIMIZER_STEPS

    def _optimizer_ends(self, key: int, now: int) -> None:
        if len(self._stepped_at) > MAX_KEYS:
            self._stepped_at.clear()
        self._stepped_at[key] = self._optimizer_backwards
        if self._optimizer_fresh:
            self._ends_with(key, now)
        elif self._candidate is not None:
            self._make_candidate(now)  # the step's end moves on

    def _ends_with(self, key: int, now: int) -> None:
        if self._cycle.ends(key):
            self._fetched = False
            self._close(now)
        else:
            self._make_candidate(now)

    # --- inference: fetches as steps ------------------------------------------------------------

    def _counts_inputs(self) -> bool:
        return self.source == "input" or (self.source is None and not self.trained)

    def _note_input_step(
        self, key: int, begin: int, now: int, samples: Optional[int], more: bool, batch: bool
    ) -> None:
        part, keys = self._part, self._input_step_keys
        if not more:
            if key in keys:
                self._end_input_step(begin, now)
            self._part = Part(None)  # what comes before the next fetch is in no step
            return
        if part.start is None:
            part.start = begin
        part.input += now - begin
        if batch:
            if samples is not None:
                part.samples = max(part.samples or 0, samples)
            keys.append(key)
        self._forward_from = now

    def _end_input_step(self, end: int, now: int) -> None:
        part = self._part
        self._input_step_keys.clear()
        if not part.backwards and self._forward_from is not None:
            part.forward = end - self._forward_from
            self._span("forward", self._forward_from, end)
        if self.source == "input":
            self._close(end)
            return
        self._part = Part(end)
        self._held.append((part, end))
        hold = HOLD_WITH_OPTIMIZER_NS if self._optimizers_made else HOLD_NS
        first = self._held[0][0].start
        if len(self._held) >= MAX_HELD or (first is not None and end - first >= hold):
            self._release_held()
            self._begin_again(now)

    def _release_held(self) -> None:
        """Nothing trains: the fetches so far were steps."""
        held, self._held = self._held, []
        if held:
            self._set_source("input")
        for part, end in held:
            self._record(part, end)
