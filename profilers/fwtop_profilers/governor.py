"""Decides when a trace window may open, from measured cost and a budget.

Owns the bookkeeping and nothing else: it reads no clock, opens no window, knows no framework. The
windows' owner asks `plan` at each step's begin, and tells what came of it (`closed`, `failed`).

The rule is `elapsed x budget >= cost so far`. So a window is paid for after it was had: the first
one opens on credit, and the measured ratio comes down to the budget from above, with an error of
one window's cost. What is not spent (an evaluation of ten minutes) is forfeited but for two
windows, so that no burst follows.

Hooks are paid from the same budget, but never with more than half of it: where steps are so short
that hooks alone pass it, windows are rare, and still there.

Outside the budget: the first window, which warms the profiler up and is no guide for later ones,
and what the user asks for. The latter is in the measured ratio all the same.

Not thread-safe; `plan` is called on the training thread and the owner holds a lock around the rest.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Callable, Deque, Optional

from fwtop_profilers import wire
from fwtop_profilers.clock import NEVER_NS

MIN_SPACING_NS = 200_000_000
"""Between two windows under a budget below 1: nobody's eyes need more than five a second."""
SHORT_STEP_NS = 2_000_000
"""Shorter steps are traced by the handful: starting and stopping costs as much as one of them."""
MAX_STEPS = 64
CARRIED_WINDOWS = 2
"""How many windows' worth of unspent budget is kept."""
FIRST_RETRY_NS = 1_000_000_000
LAST_RETRY_NS = 300_000_000_000
DEMANDS_KEPT = 4
QUIET_STEPS = 3
"""Steps without a compile that must have been seen before the first counted window."""
LOUD_STEPS = 50
"""After so many steps that compiled something, quiet ones are no longer waited for."""


@dataclass(frozen=True)
class Plan:
    """A window that may open now."""

    steps: int
    deep: bool
    counted: bool
    """False for the warming-up window."""
    demanded: bool
    """Asked for by the user, so not charged to the budget."""


@dataclass(frozen=True)
class WindowCost:
    """What a window took from the script, as wall time that its training thread lost."""

    start_ns: int
    stop_ns: int
    save_ns: int
    slowdown_ns: Optional[int]
    """Traced steps minus as many median untraced ones, clamped; `None` where there is no median."""

    @property
    def total_ns(self) -> int:
        """All of it; an unknown slowdown counts nothing."""
        return self.start_ns + self.stop_ns + self.save_ns + (self.slowdown_ns or 0)


def slowdown_ns(traced_ns: int, steps: int, median_ns: Optional[int]) -> Optional[int]:
    """The traced steps' extra time, within [0, 3 x what they would have taken].

    A traced step that also held a checkpoint or a hiccup of the machine must not be charged to the
    profiler: beyond four times the median it is no longer the profiler's doing.
    """
    if median_ns is None or median_ns <= 0:
        return None
    expected = median_ns * steps
    return min(max(0, traced_ns - expected), 3 * expected)


class Governor:
    """The budget of one process's trace windows."""

    def __init__(
        self,
        budget_ratio: float,
        median_ns: Callable[[], Optional[int]],
        deep_first: bool = False,
        hook_cost_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        self._budget = _clamped(budget_ratio)
        self._hook_cost_ns = hook_cost_ns
        self._median_ns = median_ns
        self._deep_first = deep_first
        self._demands: Deque[Plan] = deque()
        self._started_ns: Optional[int] = None
        self._hooks_before_ns = 0
        self._hooks_at_start_ns = 0
        self._hooks_ratio = 0.0
        self._accrued_since_ns = 0
        self._accrued_ns = 0.0
        self._charged_ns = 0.0
        self._cost_ns = 0
        self._last_cost_ns = 0
        self._windows = 0
        self._quiet_steps = 0
        self._loud_steps = 0
        self._warmed_up = False
        self._last_closed_ns: Optional[int] = None
        self._failures = 0
        self._retry_ns: Optional[int] = None
        self._standing_down = ""
        self._not_before_ns: Optional[int] = None
        self._blocked_by = ""

    @property
    def started(self) -> bool:
        """Whether the first step has been seen."""
        return self._started_ns is not None

    def start(self, now_ns: int) -> None:
        """The first step begins: time counts from here."""
        if self._started_ns is None:
            self._started_ns = self._accrued_since_ns = now_ns
            self._hooks_before_ns = self._hooks_at_start_ns = self._hook_cost_ns()
            self._reschedule(now_ns)

    def plan(self, now_ns: int) -> Optional[Plan]:
        """The window that may open now, or None. Changes nothing, and is cheap when it says no.

        The first window needs one quiet step before it, and the next one a few, so that there is
        a median to measure its cost against; a script that compiles on and on gets them anyway.
        """
        if self._standing_down:
            return None
        if self._demands:
            return self._demands[0] if self._retry_passed(now_ns) else None
        not_before = self._not_before_ns
        if not_before is None or now_ns < not_before:
            return None
        if self._quiet_steps < QUIET_STEPS and not self._settled():
            return None
        if not self._warmed_up:
            return Plan(steps=1, deep=False, counted=False, demanded=False)
        deep = self._deep_first
        return Plan(steps_for(self._median_ns()), deep=deep, counted=True, demanded=deep)

    def idle_until(self, now_ns: int) -> int:
        """No window before then, whatever steps end without a flag; `now_ns` if none can say."""
        if self._demands or self._quiet_steps < QUIET_STEPS:
            return now_ns
        if self._standing_down or self._not_before_ns is None:
            return NEVER_NS
        return self._not_before_ns

    def step_ended(self, flags: int) -> None:
        """A step ended, with its `wire.STEP_*` flags."""
        if flags & (wire.STEP_COMPILED | wire.STEP_GAP):
            self._loud_steps += 1
            if self._quiet_steps < QUIET_STEPS:
                self._quiet_steps = 0
        elif not flags & wire.STEP_TRACED:
            self._quiet_steps += 1

    def _settled(self) -> bool:
        if self._loud_steps >= LOUD_STEPS:
            return True
        return not self._warmed_up and self._quiet_steps >= 1

    def spent(self, cost_ns: int, now_ns: int) -> None:
        """A window was broken off: it cost something and gave nothing; it may be tried again."""
        self._cost_ns += cost_ns
        self._charge(cost_ns, now_ns)
        self._reschedule(now_ns)

    def closed(self, plan: Plan, cost: WindowCost, now_ns: int) -> None:
        """A planned window was had."""
        self._failures = 0
        self._retry_ns = None
        self._last_closed_ns = now_ns
        self._warmed_up = True
        self._settle(plan)
        if plan.counted:
            self._windows += 1
            self._cost_ns += cost.total_ns
            if not plan.demanded:
                self._charge(cost.total_ns, now_ns)
        self._reschedule(now_ns)

    def failed(self, plan: Plan, now_ns: int) -> int:
        """A planned window was not had; the time in ns until the next try, twice the last one."""
        self._failures += 1
        delay = min(FIRST_RETRY_NS << min(self._failures - 1, 10), LAST_RETRY_NS)
        self._retry_ns = now_ns + delay
        self._settle(plan)
        self._reschedule(now_ns)
        return delay

    def demand(self, deep: bool, steps: int) -> None:
        """The user asks for a window at the next step, whatever the budget says."""
        if len(self._demands) < DEMANDS_KEPT:
            steps = min(max(1, steps), MAX_STEPS)
            self._demands.append(Plan(steps, deep=deep, counted=True, demanded=True))

    def set_budget(self, ratio: float, now_ns: int) -> None:
        """Change the budget from now on; what was owed stays owed."""
        self._accrue(now_ns)
        self._budget = _clamped(ratio)
        self._reschedule(now_ns)

    def stand_down(self, why: str) -> None:
        """No window at all until `stand_up`: the profiler is someone else's."""
        self._standing_down = why

    def stand_up(self) -> None:
        """Windows may open again."""
        self._standing_down = ""

    def block(self, why: str) -> bool:
        """Say why a planned window did not open, or was broken off; whether that is news."""
        news, self._blocked_by = why != self._blocked_by, why
        return news

    def report(self, now_ns: int) -> wire.Governor:
        """The bookkeeping as a message."""
        elapsed = self._elapsed_ns(now_ns)
        hook_cost_ns = self._hook_cost_ns() - self._hooks_at_start_ns  # imports are no steps
        ratio = (self._cost_ns + hook_cost_ns) / elapsed if elapsed else None
        return wire.Governor(
            at_ns=now_ns,
            budget_ratio=self._budget,
            elapsed_ns=elapsed,
            cost_ns=self._cost_ns,
            hook_cost_ns=hook_cost_ns,
            windows=self._windows,
            measured_ratio=ratio,
            next_window_ns=self._not_before_ns,
            waiting_for=self._waiting_for(now_ns),
        )

    def _waiting_for(self, now_ns: int) -> str:
        if self._standing_down:
            return self._standing_down
        if self._budget <= 0 and not self._demands:
            return "nothing: the budget is 0"
        if self._started_ns is None:
            return "the first step"
        if not self._retry_passed(now_ns):
            return "another try after a failure"
        if self._blocked_by:
            return self._blocked_by
        if self._not_before_ns is not None and now_ns < self._not_before_ns:
            return "budget"
        return ""

    def _settle(self, plan: Plan) -> None:
        """The plan has been carried out, well or not; a demand is not tried twice."""
        self._blocked_by = ""
        if self._demands and self._demands[0] is plan:
            self._demands.popleft()
        elif plan.deep:
            self._deep_first = False

    def _elapsed_ns(self, now_ns: int) -> int:
        return 0 if self._started_ns is None else max(0, now_ns - self._started_ns)

    @property
    def _rate(self) -> float:
        """What of the budget is for windows, by what hooks took of late."""
        if self._budget >= 1:
            return self._budget
        return max(self._budget / 2, self._budget - self._hooks_ratio)

    def _accrue(self, now_ns: int) -> None:
        if self._started_ns is not None:
            elapsed, hooks_ns = max(0, now_ns - self._accrued_since_ns), self._hook_cost_ns()
            if elapsed:
                self._hooks_ratio = (hooks_ns - self._hooks_before_ns) / elapsed
            self._accrued_ns += self._rate * elapsed
            self._accrued_since_ns, self._hooks_before_ns = now_ns, hooks_ns

    def _charge(self, cost_ns: int, now_ns: int) -> None:
        self._accrue(now_ns)
        carried = CARRIED_WINDOWS * max(cost_ns, self._last_cost_ns)
        self._charged_ns = max(self._charged_ns, self._accrued_ns - carried)
        self._charged_ns += cost_ns
        self._last_cost_ns = cost_ns

    def _reschedule(self, now_ns: int) -> None:
        """Work out when the next window may open, so that `plan` only compares."""
        if self._started_ns is None or self._budget <= 0:
            self._not_before_ns = None
            return
        owed = self._charged_ns - self._accrued_ns
        not_before = self._accrued_since_ns
        if owed > 0:
            not_before += int(owed / self._rate)
        if self._last_closed_ns is not None and self._budget < 1:
            not_before = max(not_before, self._last_closed_ns + MIN_SPACING_NS)
        if self._retry_ns is not None:
            not_before = max(not_before, self._retry_ns)
        self._not_before_ns = not_before

    def _retry_passed(self, now_ns: int) -> bool:
        return self._retry_ns is None or now_ns >= self._retry_ns


def steps_for(median_ns: Optional[int]) -> int:
    """How many steps a window: one, or as many short ones as `SHORT_STEP_NS` holds."""
    if median_ns is None or median_ns <= 0 or median_ns >= SHORT_STEP_NS:
        return 1
    return min(MAX_STEPS, -(-SHORT_STEP_NS // median_ns))


def _clamped(ratio: float) -> float:
    return min(1.0, max(0.0, ratio)) if ratio == ratio else 0.0
