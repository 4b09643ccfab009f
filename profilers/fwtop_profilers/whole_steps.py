"""Steps that a framework bounds itself, or runs whole: Keras' batches and compiled train steps.

Owns what `StepTracker` needs beyond boundaries within a step:

- `batch_begin` / `batch_end`: the framework's own loop says what a step is (source `batch`).
  Boundaries within (backward, optimizer) give it phases and end nothing. Batches of evaluation and
  prediction are gaps where anything trains; where nothing does, they are the steps.
  Where the user has said what a step is, and the loop hides that (`loop_begins`), each batch
  counts for the one fetch, forward or update that it holds.
- `forward_begin` / `forward_end`: a call of a model, as it may be a step where nothing trains, no
  batch is fetched and no loop of the framework's runs (source `forward`), or on request.
- calls of compiled code, which are `compiled_calls`'.

As in `steps`, the steps tile the time, and a gap (evaluation, an epoch's end after a long pause)
is in none of them.
"""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.compiled_calls import CompiledCalls
from fwtop_profilers.open_step import Part
from fwtop_profilers.step_rules import HOLD_WITH_OPTIMIZER_NS
from fwtop_profilers.steps import HOLD_NS, MAX_HELD, PAUSE_FACTOR, PAUSE_NS


class WholeSteps(CompiledCalls):
    """One process's steps, whoever bounds them."""

    def __init__(self, step_on: str = "auto") -> None:
        self.builds: Callable[[Tuple[Any, ...]], bool] = lambda inputs: False
        """Whether a model with these inputs is being built rather than run; set by who builds."""
        super().__init__(step_on)

    def reset(self) -> None:
        """Begin anew; listeners stay."""
        super().reset()
        self.source_detail = ""
        """More words on what bounds a step now."""
        self._loop = ""
        """What the framework's own loop is, for as long as its batches are the steps."""
        self.in_loop = False
        """Whether batches of the framework's loop count for what the user wants to have counted."""
        self.is_chosen = self._step_on != "auto"
        """Whether the user has said what a step is."""
        self._batch_open = False
        self._judging_from: Optional[int] = None
        """When the batch of evaluation or prediction began that is under way."""
        self._judged_ns: Optional[int] = None
        self._holds_batches = False
        self._calls: List[int] = []
        self._call_begin = 0
        self._held_calls: List[Tuple[int, int, int, Optional[int]]] = []
        self._replays = False

    # --- batches of the framework's own loop ----------------------------------------------------

    def loop_entered(self, updates_are_seen: bool) -> None:
        """The framework's own loop is called. `updates_are_seen` is False where its optimizer runs
        unseen; its fetches and forwards may lie within a graph at any time."""
        hidden = ("input", "forward") if updates_are_seen else ("input", "forward", "optimizer")
        if self.is_chosen and not self.in_loop and self.source in hidden:
            self.in_loop = True
            self._loop = ""
            self._input_step_keys.clear()

    @property
    def awaits_name(self) -> bool:
        """Whether a loop whose batches count was entered, and is not yet called anything."""
        return self.in_loop and not self._loop

    def loop_begins(self, loop: str) -> None:
        """It begins with its batches, and is called `loop`."""
        self._loop = loop
        if self.in_loop:
            self._tell_detail("by the batches of " + loop)
        elif self.source == "batch":
            self._tell_detail(loop)

    def fit_end(self) -> None:
        """The framework's training has ended; what follows may be a loop of another kind."""
        self._leave()
        self.interrupted()

    def loop_ended(self) -> None:
        """The framework's loop was left, maybe by an exception."""
        self._judging_from = None
        self.in_loop = False
        self._leave()

    def _leave(self) -> None:
        self._batch_open = False
        self._auto = not self.is_chosen

    def _tell_detail(self, detail: str) -> None:
        if detail != self.source_detail:
            self.source_detail = detail
            self._tell_source()

    def batch_given(self, samples: Optional[int]) -> None:
        """The script hands the framework one batch to train on."""
        if self._follows(True):
            self._part.give(samples)

    def batch_begin(self) -> None:
        """A training batch begins."""
        if (self.is_chosen and not self.in_loop) or not self._follows(True):
            return
        now = self.at_ns
        self._set_source("batch")
        self._auto = False  # boundaries within end no step
        self._optimizers.clear()
        part = self._part
        if self._batch_open:  # the last one found the end of its data, or raised
            self._judged_ns = now
        elif (
            part.start is not None
            and now - part.start > PAUSE_NS
            and self._judged_ns is None
            and not self._fetches.runs
        ):
            period = self.log.median_period_ns()
            if period and now - part.start > PAUSE_FACTOR * period:
                self._judged_ns = now
        self._settle(now)
        self._batch_open = True
        self._forward_from = now

    def batch_end(self, samples: Optional[int] = None) -> None:
        """The training batch that began last has ended."""
        if not self._batch_open or self.by != self._owner:
            return
        self._batch_open = False
        self._forward_from = None
        if self.source != "batch" and not self.in_loop:
            return
        self._auto = not self.is_chosen
        if samples is not None:
            self._part.samples = samples
        self._close(self.at_ns)

    def judge_begin(self) -> None:
        """A batch of evaluation or prediction begins."""
        if (self.is_chosen and not self.in_loop) or not self._follows(False):
            return
        now = self.at_ns
        self._judging_from = now
        if not self._counts_judged():
            self.interrupted()
        elif self._in_gap:
            self._in_gap = False
            self._begin_again(now)

    def judge_end(self, samples: Optional[int] = None) -> None:
        """It has ended."""
        begin, self._judging_from = self._judging_from, None
        if begin is None or self.by != self._owner:
            return
        now = self.at_ns
        if not self._counts_judged():
            self._judged_ns = now
            return
        own = self._fetches.take()
        self._input_step_keys.clear()  # the batch's own fetch, made before the batch began
        part, self._part = self._part, Part(now)
        part.input += own.input_ns
        if part.start is None or self._judged_ns is not None:
            part.start = begin
        self._judged_ns = None
        if samples is not None:
            part.samples = samples
        if self.source == "batch" or self.is_chosen:
            self._part = part
            self._close(now)
            return
        self._holds_batches = True
        self._held.append((part, now))
        first = self._held[0][0].start
        if len(self._held) >= MAX_HELD or (first is not None and now - first >= HOLD_NS):
            self._release_held()
            self._begin_again(now)

    def _counts_judged(self) -> bool:
        """Whether a batch of evaluation or prediction is a step."""
        if self.is_chosen:
            return self.source == "forward" or (self.source == "input" and not self.trained)
        return not self.trained

    def interrupted(self) -> None:
        """What runs from here to the next batch or computation is in no step."""
        self._judged_ns = now = self.at_ns
        if not self._in_gap and self._is_untouched():
            self._in_gap = True
            for listener in self.on_gap:
                self._call(listener, now)

    def input_begin(self, key: int, training: bool = True) -> None:
        """As in `steps`; what a batch of evaluation beside training fetches is not trained on."""
        super().input_begin(key, training and (self._judging_from is None or not self.trained))

    # --- a model's calls ------------------------------------------------------------------------

    @property
    def counts_forwards(self) -> bool:
        """Whether a model's call may be a step: on request, or where nothing else is seen."""
        if self.in_loop:
            return False
        if self.source == "forward":
            return self.is_chosen or self._judging_from is None
        if self.source is not None or self.trained or self._any_input:
            return False
        return self._judging_from is None and not self._holds_batches

    def unit_begin(self, key: int, at_ns: Optional[int] = None) -> None:
        """As in `steps`, but where a batch counts, what lies within it does not."""
        if not self.in_loop:
            super().unit_begin(key, at_ns)

    def forward_begin(self, key: int, samples: Optional[int] = None) -> None:
        """A call of a model begins, or one nested in another's; where `counts_forwards`."""
        if self.source == "forward":
            self.unit_begin(key)
            self._part.give(samples)
            if self.on_boundary:
                self._boundary("forward_begin", self._unit_begin)
            return
        if not self._follows(False):
            return
        calls = self._calls
        if key in calls:
            calls.clear()  # its last call raised
        calls.append(key)
        self._part.give(samples)
        if len(calls) == 1:
            self._call_begin = self.at_ns
            if self.on_boundary:
                self._boundary("forward_begin", self._call_begin)

    def forward_end(self, key: int) -> None:
        """It ended. Where nothing is known to train yet, it is held back, as fetches are."""
        if self.source == "forward":
            self.unit_end(key)
            return
        calls, held = self._calls, self._held_calls
        if not calls or calls[-1] != key or self.by != self._owner:
            return
        calls.pop()
        if calls or not self.counts_forwards:
            return
        now = self.at_ns
        held.append((key, self._call_begin, now, self._part.given))
        self._part.given = None
        hold = HOLD_WITH_OPTIMIZER_NS if self._optimizers_made else HOLD_NS
        if len(held) >= MAX_HELD or now - held[0][1] >= hold:
            self._release_calls()
            self._begin_again(now)

    def _release_calls(self) -> None:
        """Nothing trains and nothing is fetched: the calls so far were steps. They are over, so
        nobody is told of each."""
        held, self._held_calls = self._held_calls, []
        if not held or not self._set_source("forward"):
            return
        self._replays, self._in_gap = True, False
        thread, self.by = self.by, self._owner or 0
        for key, begin, end, samples in held:
            self.unit_begin(key, begin)
            self._part.give(samples)
            self.unit_end(key, end)
        self._replays, self.by = False, thread

    def finish(self) -> None:
        """The process ends: close the step whose end was not certain, count what was held."""
        if not self._held and self.counts_forwards and self.source is None:
            self._release_calls()
        super().finish()

    # --- deciding -------------------------------------------------------------------------------

    def _source_changes(self, source: str) -> None:
        self.source_detail = self._loop if source == "batch" else ""

    def _units_are_forward(self) -> bool:
        return not self.in_loop

    def _finished(self, part: Part, end: int) -> None:
        if self.source_detail and self.is_chosen and not self.in_loop:
            self._tell_detail("")
        if self._replays:
            self._record(part, end)
        else:
            super()._finished(part, end)

    def _is_unsettled(self) -> bool:
        return (  # asked at each boundary, and so without the call of super's
            self._judged_ns is not None
            or bool(self._fetches.runs)
            or self._in_gap
            or self._part.start is None
        )

    def _settle(self, now: int) -> None:
        judged, self._judged_ns = self._judged_ns, None
        if judged is not None and self._is_untouched():
            self._close_candidate()  # no step goes on over an evaluation
            self._cycle.reset_step()
            part = self._part
            if part.start is not None or self.index:
                part.flags = part.flags & ~wire.STEP_COMPILED | wire.STEP_GAP
            part.start = None if self._fetches.runs else judged if self.source != "batch" else now
            self._forward_from = judged
        super()._settle(now)

    def _counts_inputs(self) -> bool:
        if self._judging_from is not None or self._holds_batches or self.in_loop:
            return False
        return super()._counts_inputs()

    def _training_begins(self) -> None:
        super()._training_begins()
        self._calls.clear()
        self._held_calls.clear()
        self._holds_batches = False
        self._judged_ns = None

    def _release_held(self) -> None:
        if not self._holds_batches:
            super()._release_held()
            return
        self._holds_batches = False
        held, self._held = self._held, []
        self._set_source("batch")
        for part, end in held:
            self._record(part, end)
