"""Framework-neutral step and phase bookkeeping, from boundaries alone.

Owns when a step begins and ends and where its time went. A framework's hooks report boundaries
(`input_begin`, `backward_end` …); the sender's thread drains finished steps. Must not import a
framework, block, or call anything slow.

What a step is (`source`):
- `optimizer`: a step ends with the optimizer step, or the last of a repeating set (`cycles`). The
  steps tile the time: one starts where the last one ended, so what lies between (`.item()`,
  logging, `zero_grad`) is `other` of the step after it. Gradient accumulation is one step.
- `backward`: where no optimizer step can be seen (it is compiled, or done by hand), a step ends
  with the last backward before the parameters change.
- `input`: where nothing trains, a step is from one DataLoader fetch to the next, and what is not
  input is `forward`. In `auto` the first seconds are held back, and dropped if training begins.
- `forward`, `call:…`: on request.

Gaps: where evaluation lay before a step, or a pause far longer than the usual period (a
checkpoint), the step starts at its own fetch and carries STEP_GAP; that time is in no step.

Phases: input is the wait for the DataLoader; forward runs from there, or from the last backward or
optimizer step, to the next backward; without a DataLoader it therefore includes whatever else lay
in between. In an optimizer step with a closure (LBFGS) what precedes each backward is forward, and
the rest optimizer. Optimizers that step inside backward count as backward.

Threads: one thread trains, and it is the one that computes. Others' fetches are prefetching and
are ignored, as are autograd's own threads while the training thread is inside backward.
"""

from __future__ import annotations

from _thread import get_ident
from typing import Callable, Dict, List, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns
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
LONELY_OPTIMIZER_STEPS = 64
"""After so many steps of an optimizer without a backward, backwards are no longer waited for."""


class StepTracker(OpenStep):
    """One process's steps. Boundary methods run on the training thread; `drain` on any one."""

    def __init__(
        self,
        step_on: str = "auto",
        clock: Callable[[], int] = now_ns,
        thread: Callable[[], int] = get_ident,
    ) -> None:
        self._step_on = step_on
        self._clock = clock
        self._thread = thread
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

    def abandon(self) -> None:
        """A hook was switched off: no end may be waited for that will not come."""
        self._backward_depth = self._input_depth = 0
        self._input_begin = None
        self._stepped_in_backward = False
        self._optimizers.clear()
        self._units.clear()

    def finish(self) -> None:
        """The process ends: close the step whose end was not certain, count what was held."""
        if self._candidate is not None:
            if self.source is None:
                self._set_source("backward")
            if self.source == "backward" or self._cycle.is_under_way:
                self._close_candidate()
        if self.source is None and not self.trained:
            self._release_held()

    # --- boundaries: input ----------------------------------------------------------------------

    def input_begin(self, key: int, training: bool = True) -> None:
        """A fetch from iterator `key` begins; `training` is False with gradients switched off."""
        self.hook_calls += 1
        if not self._follows(False):
            return
        if self._input_begin is not None:
            self._input_depth += 1  # a data set that reads another DataLoader
            return
        now = self._clock()
        if self._optimizers:
            self._optimizers.clear()  # the optimizer step raised, and the script went on
        if key in self._input_step_keys:
            self._end_input_step(now, now)
        self._input_key, self._input_begin, self._input_training = key, now, training
        if self._in_gap and (training or self._counts_inputs()) and self._is_untouched():
            self._in_gap = False
            self._begin_again(now)
        if self.on_boundary:
            self._boundary("input_begin")

    def input_end(
        self,
        samples: Optional[int] = None,
        more: bool = True,
        batch: bool = True,
        key: Optional[int] = None,
    ) -> None:
        """The fetch ended. `more` False: the iterator had no more, or raised. `batch` False: an
        iterator was made, its name being `key`, and no batch fetched."""
        self.hook_calls += 1
        begin = self._input_begin
        if begin is None or self._thread() != self._owner:
            return
        if self._input_depth:
            self._input_depth -= 1
            return
        now = self._clock()
        self._input_begin = None
        training = self._input_training
        key = self._input_key if key is None else key
        self._any_input = self._fetched = True
        if more:
            self._fetches.add(key, begin, now, training, batch, samples)
        else:
            self._fetches.exhausted(key, begin, now, training)
        if self.on_boundary:
            self._boundary("input_end")
        if self._counts_inputs():
            more = more and (training or not self.trained)
            self._note_input_step(key, begin, now, samples, more, batch)
            training = True
        if not (more and training) and not self._in_gap and self._is_untouched():
            self._in_gap = True
            for listener in self.on_gap:
                self._call(listener, now)

    # --- boundaries: backward -------------------------------------------------------------------

    def backward_begin(self) -> None:
        """Outermost or nested; to be paired with `backward_end`, also when it raises."""
        self.hook_calls += 1
        if not self._follows(True):
            return
        if self._backward_depth:
            self._backward_depth += 1
            return
        now = self._clock()
        if self._candidate is not None and self.source != "optimizer" and not self._optimizers:
            self._judge_backward()
        if not self._optimizers:
            self._settle(now)
        self._forward_until(now)
        self._backward_depth = 1
        self._backward_begin = now
        if self.on_boundary:
            self._boundary("backward_begin")

    def backward_end(self) -> None:
        """Whether it returned or raised."""
        self.hook_calls += 1
        if not self._backward_depth or self._thread() != self._owner:
            return
        self._backward_depth -= 1
        if self._backward_depth:
            return
        now = self._clock()
        begin, part = self._backward_begin, self._part
        part.backward += now - begin
        part.backwards += 1
        self._backwards += 1
        self._any_backward = True
        self._forward_from = self._optimizer_own_from = now
        self._span("backward", begin, now)
        if self.on_boundary:
            self._boundary("backward_end")
        if self._optimizers:
            self._optimizer_inner += now - begin
        elif self._stepped_in_backward:
            self._stepped_in_backward = False
            if self._set_source("optimizer"):
                self._close(now)
        elif self.source is None or self.source == "backward":
            if self.on_backward_end is not None:
                self.on_backward_end()
            self._make_candidate(now)
            if self._accumulation_learnt and self._part_backwards() >= self._accumulated:
                self._close_candidate()

    # --- boundaries: optimizer, forward, call ---------------------------------------------------

    def optimizer_made(self) -> None:
        """An optimizer was constructed: the script means to train."""
        self._optimizers_made += 1

    def optimizer_begin(self, key: int) -> None:
        """An optimizer's step begins, or one nested in another's."""
        self.hook_calls += 1
        if self._backward_depth and not self._optimizers:
            self._stepped_in_backward = True  # maybe on an autograd thread
            return
        if not self._follows(True):
            return
        optimizers = self._optimizers
        if self._scaler_stepped is False and optimizers == [key]:
            self._scaler_stepped = True
        elif key in optimizers:
            optimizers.clear()  # its last step raised
        optimizers.append(key)
        if len(optimizers) == 1:
            self._optimizer_begins(key, self._set_source("optimizer"))
            if self.on_boundary:
                self._boundary("optimizer_begin")

    def optimizer_end(self, key: int, skipped: bool = False) -> None:
        """That step ended; `skipped` says that it changed nothing."""
        self.hook_calls += 1
        optimizers = self._optimizers
        if not optimizers or optimizers[-1] != key or self._thread() != self._owner:
            return
        optimizers.pop()
        if optimizers:
            return
        now = self._clock()
        part = self._part
        part.optimizer += max(0, now - self._optimizer_begin - self._optimizer_inner)
        if skipped:
            part.flags |= wire.STEP_SKIPPED
        self._any_optimizer = True
        self._forward_from = now
        self._span("optimizer", self._optimizer_own_from, now)
        if self.on_boundary:
            self._boundary("optimizer_end")
        if self.source == "optimizer":
            self._optimizer_ends(key, now)

    def scaler_begin(self, key: int) -> None:
        """A gradient scaler is about to step optimizer `key`, or to skip that."""
        self.optimizer_begin(key)
        if self._optimizers == [key]:
            self._scaler_stepped = False

    def scaler_end(self, key: int, raised: bool = False, certain: bool = True) -> None:
        """It has; without an `optimizer_begin` in between the step was skipped, if `certain` that
        there would have been one."""
        stepped, self._scaler_stepped = self._scaler_stepped, None
        if raised:
            self._optimizers.clear()
        else:
            self.optimizer_end(key, skipped=certain and stepped is False)

    def unit_begin(self, key: int) -> None:
        """A top-level forward or the function named by `--step-on call:…` begins."""
        self.hook_calls += 1
        if not self._follows(False):
            return
        units = self._units
        if key in units:
            units.clear()  # its last call raised
        units.append(key)
        if len(units) > 1:
            return
        now = self._clock()
        self._settle(now)
        self._unit_begin = self._forward_from = now
        if self.source != "forward":
            self._cycle.assume(key)
        if self._cycle.begins(key, self._fetched):
            self._close_candidate()

    def unit_end(self, key: int) -> None:
        """It ended."""
        self.hook_calls += 1
        units = self._units
        if not units or units[-1] != key or self._thread() != self._owner:
            return
        units.pop()
        if units:
            return
        now = self._clock()
        if self.source == "forward":
            self._part.forward = (self._part.forward or 0) + now - self._unit_begin
            self._span("forward", self._unit_begin, now)
        self._forward_from = now
        self._ends_with(key, now)

    # --- deciding -------------------------------------------------------------------------------

    def _follows(self, computes: bool) -> bool:
        """Whether events of this thread count; the thread that computes takes over if it may."""
        ident = self._thread()
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
        if self._auto and self.source != source:
            self.source = source
            self._tell_source()
        return self.source == source

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

    def _settle(self, now: int) -> None:
        """Computing begins: give the step the fetches that are its own, and find gaps."""
        if self._fetches:
            own = self._fetches.take()
            if self._counts_inputs():
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
        start, period = self._part.start, self.log.median_period_ns()
        if own.begin is None or start is None or period is None:
            return False
        return own.begin - start > max(PAUSE_NS, PAUSE_FACTOR * period)

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
        if begin is None or self.source == "forward":
            return
        part = self._part
        part.forward = (part.forward or 0) + now - begin
        if self._optimizers:
            self._optimizer_inner += now - begin
        self._span("forward", begin, now)

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
        now = self._clock()
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
