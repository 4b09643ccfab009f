"""What hooks note at each boundary, and when the rules of steps learn of it.

Owns the tape between a framework's hooks and `PlainSteps`. A hook appends one row: which boundary,
when, on which thread. The rules run over the rows later, on the sender's thread, which plays the
tape at each of its rounds; the time and the thread that they go by are the row's. Between two
boundaries a training step empties the caches, so rules that run at each of them cost a step of 5 ms
some 60 µs, and one after another, in a batch, 7.

From `due_ns` on, somebody wants to know of a boundary while it is there (a trace window may open,
CUDA events are recorded, parameters must be looked at): then the thread that reports it plays the
tape at once. Only that thread plays such a row of the thread that trains, so whoever listens to the
steps may rely on being called there.

`play` holds a lock; `note` does not, so a hook waits for nobody unless it is due. A child of a fork
has a lock of its own (`reset`).
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Set, TypeVar, cast

from fwtop_profilers.clock import now_ns
from fwtop_profilers.plain_steps import PLAIN_ROWS, PlainSteps, Row

LATEST_NS = 1_000_000_000
"""A row is played by its own thread after so long, if the sender's thread has not come to it."""
LOCK_S = 1.0
"""Nobody holds it so long; and whoever does must not stop a training."""

Rule = TypeVar("Rule", bound=Callable[..., None])


class Tape:
    """The boundaries of one process. Each method that notes one may be called on any thread.

    They have the arguments of the rules by the same names, in `steps.StepTracker`, `compiled_calls`
    and `whole_steps`, by position alone. What a hook asks `steps` for has been told by a boundary
    that is played at once.

    A hook that runs in each step notes its boundary itself, for a call costs it a microsecond, and
    gives the same object for as long as nothing but the time is new, for whatever it touches costs
    it, too:

        at_ns = clock()
        append((at_ns, boundary))
        if at_ns >= tape.due_ns:
            tape.play()
    """

    def __init__(
        self,
        step_on: str = "auto",
        clock: Callable[[], int] = now_ns,
        thread: Callable[[], int] = get_ident,
    ) -> None:
        self.clock = clock
        self.thread = thread
        self._rows: Deque[Row] = deque()
        self.append = self._rows.append
        self.steps = steps = PlainSteps(step_on)
        """The rules, and what they have found. Touched by whoever plays the tape."""
        self.wakes: List[Callable[[], int]] = []
        """When each listener wants to be told at once, in monotonic ns."""
        self.on_failure: Callable[[str, BaseException], None] = lambda subject, error: None
        """Told when a rule raised: its subject has then been switched off."""
        self.call_cost_ns = 0
        """Nanoseconds a noted boundary takes; set once, by `hook_cost.calibrate`."""
        self._forget()

        note, at_once = self._noting, self._at_once
        self.input_begin, self.input_end = note(steps.input_begin), note(steps.input_end)
        self.backward_begin = note(steps.backward_begin)
        self.backward_end = note(steps.backward_end)
        self.optimizer_begin = note(steps.optimizer_begin)
        self.optimizer_end = note(steps.optimizer_end)
        self.optimizer_made = note(steps.optimizer_made)
        self.scaler_begin, self.scaler_end = note(steps.scaler_begin), note(steps.scaler_end)
        self.unit_begin, self.unit_end = note(steps.unit_begin), note(steps.unit_end)
        self.forward_begin, self.forward_end = note(steps.forward_begin), note(steps.forward_end)
        self.update_begin, self.update_end = note(steps.update_begin), note(steps.update_end)
        self.gradients_begin = note(steps.gradients_begin)
        self.gradients_end = note(steps.gradients_end)
        self.batch_begin, self.batch_end = note(steps.batch_begin), note(steps.batch_end)
        self.batch_given = note(steps.batch_given)
        self.judge_begin, self.judge_end = at_once(steps.judge_begin), at_once(steps.judge_end)
        self.interrupted = at_once(steps.interrupted)
        self.loop_entered = at_once(steps.loop_entered)
        self.loop_begins, self.loop_ended = at_once(steps.loop_begins), at_once(steps.loop_ended)
        self.fit_end = at_once(steps.fit_end)
        self.flag = at_once(steps.flag)
        self.abandon = at_once(steps.abandon)

    def reset(self) -> None:
        """Begin anew, as in a forked child; listeners stay."""
        self._forget()
        self.steps.reset()

    def _forget(self) -> None:
        self._rows.clear()
        self._lock = threading.RLock()
        self._plays = False
        self._off: Set[str] = set()
        self._stands_for: Dict[int, int] = {}
        self.due_ns = 0
        """From this time on, each boundary is played at once."""
        self.noted = 0
        """Boundaries that were played."""

    # --- noting ---------------------------------------------------------------------------------

    def _noting(self, rule: Rule) -> Rule:
        append, clock, thread = self.append, self.clock, self.thread

        def note(*args: Any) -> None:
            at_ns = clock()
            append((at_ns, (rule, thread(), "", args)))
            if at_ns >= self.due_ns:
                self.play()

        return cast(Rule, note)

    def _at_once(self, rule: Rule) -> Rule:
        """What a hook's next question is answered by."""

        def note(*args: Any) -> None:
            self.wake()
            self.append((self.clock(), (rule, self.thread(), "", args)))
            self.play()

        return cast(Rule, note)

    def compute_for(self, thread: int, owner: int) -> None:
        """From here on what `thread` does counts as `owner`'s, which waits for it meanwhile."""
        self._stands_for[thread] = owner

    # --- playing --------------------------------------------------------------------------------

    def wake(self) -> None:
        """A listener's mind has changed: from now on boundaries are played at once."""
        self.due_ns = self.clock()

    def play(self) -> None:
        """Run the rules over what was noted, except for what another thread is to play itself."""
        self._play(self.thread())

    def finish(self) -> None:
        """The process ends: play all of it, and end the step that is under way."""
        self._play(None)
        self.steps.finish()

    @property
    def is_here(self) -> bool:
        """Whether the boundary that is played is the latest, and was noted on the thread that asks:
        what begins now begins with it."""
        thread = self.thread()
        return not self._rows and self._stands_for.get(thread, thread) == self.steps.by

    @property
    def cost_ns(self) -> int:
        """What the hooks have taken so far: their calls times their measured cost."""
        return self.noted * self.call_cost_ns

    def _play(self, me: Optional[int]) -> None:
        lock = self._lock
        if not lock.acquire(timeout=LOCK_S):
            return
        try:
            if self._plays:
                return  # a listener's boundary, or a signal handler's: the loop below comes to it
            self._plays = True
            try:
                self._run(me)
            finally:
                self._plays = False
        finally:
            lock.release()

    def _run(self, me: Optional[int]) -> None:
        rows, steps, stands_for, off = self._rows, self.steps, self._stands_for, self._off
        popleft, played = rows.popleft, 0
        while rows:
            if len(rows) >= PLAIN_ROWS and not off:
                try:
                    taken = steps.take_plain(rows, self.due_ns)
                except Exception as error:
                    self._failed("plain steps", error)
                    continue
                if taken:
                    played += taken
                    continue
            at_ns, (rule, by, framework, args) = rows[0]
            steps.at_ns = at_ns
            steps.by = stands_for.get(by, by) if stands_for else by
            if at_ns >= self.due_ns and by != me and me is not None and steps.is_owners:
                break
            popleft()
            played += 1
            steps.was_plain = False
            if framework:
                steps.framework = framework
            try:
                if not off or _subject(rule) not in off:
                    rule(*args)
            except Exception as error:
                self._failed(_subject(rule), error)
        self.noted += played
        self.due_ns = self._next_due()

    def _next_due(self) -> int:
        if not self.steps.may_lag:
            return 0
        return min([self.clock() + LATEST_NS, *(wake() for wake in self.wakes)])

    def _failed(self, subject: str, error: Exception) -> None:
        self._off.add(subject)
        self.steps.abandon()
        self.on_failure(subject, error)


def _subject(rule: Callable[..., None]) -> str:
    """`backward` of `backward_begin`: what goes off together."""
    return rule.__name__.partition("_")[0]
