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

from typing import Optional

from fwtop_profilers import wire
from fwtop_profilers.step_rules import HOLD_NS, MAX_HELD, PAUSE_FACTOR, PAUSE_NS, StepRules

__all__ = ["HOLD_NS", "MAX_HELD", "PAUSE_FACTOR", "PAUSE_NS", "StepTracker"]


class StepTracker(StepRules):
    """One process's steps. A boundary goes by `at_ns` and `by`, which the tape sets before it."""

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
        if not self._follows(False):
            return
        if self._input_begin is not None:
            self._input_depth += 1  # a data set that reads another DataLoader
            return
        now = self.at_ns
        if self._optimizers:
            self._optimizers.clear()  # the optimizer step raised, and the script went on
        if key in self._input_step_keys:
            self._end_input_step(now, now)
        self._input_key, self._input_begin, self._input_training = key, now, training
        if self._in_gap and (training or self._counts_inputs()) and self._is_untouched():
            self._in_gap = False
            self._begin_again(now)
        if self.on_boundary:
            self._boundary("input_begin", now)

    def input_end(
        self,
        samples: Optional[int] = None,
        more: bool = True,
        batch: bool = True,
        key: Optional[int] = None,
    ) -> None:
        """The fetch ended. `more` False: the iterator had no more, or raised. `batch` False: an
        iterator was made, its name being `key`, and no batch fetched."""
        begin = self._input_begin
        if begin is None or self.by != self._owner:
            return
        if self._input_depth:
            self._input_depth -= 1
            return
        now = self.at_ns
        self._input_begin = None
        training = self._input_training
        key = self._input_key if key is None else key
        self._any_input = self._fetched = True
        if more:
            self._fetches.add(key, begin, now, training, batch, samples)
        else:
            self._fetches.exhausted(key, begin, now, training)
        if self.on_boundary:
            self._boundary("input_end", now)
        if (self.source == "input" or not self.trained) and self._counts_inputs():
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
        if not self._follows(True):
            return
        if self._backward_depth:
            self._backward_depth += 1
            return
        now = self.at_ns
        if self._candidate is not None and self.source != "optimizer" and not self._optimizers:
            self._judge_backward()
        if not self._optimizers and self._is_unsettled():
            self._settle(now)
        self._forward_until(now)
        self._backward_depth = 1
        self._backward_begin = now
        if self.on_boundary:
            self._boundary("backward_begin", now)

    def backward_end(self) -> None:
        """Whether it returned or raised."""
        if not self._backward_depth or self.by != self._owner:
            return
        self._backward_depth -= 1
        if self._backward_depth:
            return
        now = self.at_ns
        begin, part = self._backward_begin, self._part
        part.backward += now - begin
        part.backwards += 1
        self._backwards += 1
        self._any_backward = True
        self._forward_from = self._optimizer_own_from = now
        if self._spans is not None:
            self._span("backward", begin, now)
        if self.on_boundary:
            self._boundary("backward_end", now)
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
            bounds = self.source == "optimizer" or self._set_source("optimizer")
            self._optimizer_begins(key, bounds)
            if self.on_boundary:
                self._boundary("optimizer_begin", self._optimizer_begin)

    def optimizer_end(self, key: int, skipped: bool = False) -> None:
        """That step ended; `skipped` says that it changed nothing."""
        optimizers = self._optimizers
        if not optimizers or optimizers[-1] != key or self.by != self._owner:
            return
        optimizers.pop()
        if optimizers:
            return
        now = self.at_ns
        part = self._part
        part.optimizer += max(0, now - self._optimizer_begin - self._optimizer_inner)
        if skipped:
            part.flags |= wire.STEP_SKIPPED
        self._any_optimizer = True
        self._forward_from = now
        if self._spans is not None:
            self._span("optimizer", self._optimizer_own_from, now)
        if self.on_boundary:
            self._boundary("optimizer_end", now)
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

    def unit_begin(self, key: int, at_ns: Optional[int] = None) -> None:
        """A top-level forward or the function named by `--step-on call:…` begins, or began then."""
        if not self._follows(False):
            return
        units = self._units
        if key in units:
            units.clear()  # its last call raised
        units.append(key)
        if len(units) > 1:
            return
        now = self.at_ns if at_ns is None else at_ns
        self._settle(now)
        self._unit_begin = self._forward_from = now
        if self.source != "forward":
            self._cycle.assume(key)
        if self._cycle.begins(key, self._fetched):
            self._close_candidate()

    def unit_end(self, key: int, at_ns: Optional[int] = None) -> None:
        """It ended, now or then."""
        units = self._units
        if not units or units[-1] != key or self.by != self._owner:
            return
        units.pop()
        if units:
            return
        now = self.at_ns if at_ns is None else at_ns
        if self.source == "forward":
            self._part.forward = (self._part.forward or 0) + now - self._unit_begin
            self._span("forward", self._unit_begin, now)
        self._forward_from = now
        self._ends_with(key, now)
