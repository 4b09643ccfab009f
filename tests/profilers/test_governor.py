"""The governor's arithmetic, under a fake clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from fwtop_profilers import wire
from fwtop_profilers.governor import (
    FIRST_RETRY_NS,
    MIN_SPACING_NS,
    NEVER_NS,
    Governor,
    Plan,
    WindowCost,
    slowdown_ns,
    steps_for,
)

MS = 1_000_000
S = 1_000 * MS


@dataclass
class Training:
    """Steps of one length, and a window's cost, driven as the windows drive the governor."""

    governor: Governor
    step_ns: int = 10 * MS
    window_ns: int = 20 * MS
    now_ns: int = 5 * S
    opened_ns: list[int] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def run(self, seconds: float, flags: int = 0) -> None:
        end = self.now_ns + int(seconds * S)
        self.governor.start(self.now_ns)
        while self.now_ns < end:
            plan = self.governor.plan(self.now_ns)
            if plan is None:
                self.now_ns += self.step_ns
                self.governor.step_ended(flags)
                continue
            self.opened_ns.append(self.now_ns)
            self.plans.append(plan)
            self.now_ns += self.step_ns * plan.steps + self.window_ns
            self.governor.step_ended(flags | wire.STEP_TRACED)
            self.governor.closed(plan, WindowCost(0, self.window_ns, 0, None), self.now_ns)

    @property
    def ratio(self) -> float:
        measured = self.governor.report(self.now_ns).measured_ratio
        assert measured is not None
        return measured


def governor(
    budget: float, deep: bool = False, hook_cost_ns: Callable[[], int] = lambda: 0
) -> Governor:
    return Governor(budget, lambda: 10 * MS, deep, hook_cost_ns)


def test_a_budget_of_zero_never_opens():
    training = Training(governor(0.0))
    training.run(600)
    assert training.opened_ns == []


def test_a_budget_of_one_traces_every_step_once_warmed_up():
    training = Training(governor(1.0), window_ns=0)
    training.run(2)
    after = [at for at in training.opened_ns if at > 5 * S + 200 * MS]
    gaps = {b - a for a, b in pairwise(after)}
    assert gaps == {training.step_ns}


def test_the_first_windows_are_early_and_the_warming_up_one_is_not_counted():
    training = Training(governor(0.01))
    training.run(2.5)
    assert training.plans[0] == Plan(1, deep=False, counted=False, demanded=False)
    assert [plan.counted for plan in training.plans[1:]] == [True, True]
    assert training.opened_ns[0] <= 5 * S + 20 * MS
    assert training.opened_ns[1] <= 5 * S + 500 * MS


def test_no_window_before_a_step_without_a_compile():
    training = Training(governor(0.01))
    training.run(0.3, flags=wire.STEP_COMPILED)
    assert training.opened_ns == []
    training.run(0.3)
    assert len(training.opened_ns) >= 1


def test_a_script_that_compiles_in_every_step_is_traced_in_the_end():
    training = Training(governor(0.01))
    training.run(5, flags=wire.STEP_COMPILED)
    assert training.opened_ns


@pytest.mark.parametrize("budget", [0.002, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("window_ms", [2, 20, 400])
def test_the_measured_ratio_converges_to_the_budget(budget, window_ms):
    training = Training(governor(budget), window_ns=window_ms * MS)
    seconds = 60 * window_ms * MS / budget / S
    training.run(min(seconds, 3000))
    elapsed = training.now_ns - 5 * S
    one_window = training.window_ns / elapsed
    assert training.ratio <= budget + one_window + 1e-9
    spaced_out = training.window_ns / (MIN_SPACING_NS + training.window_ns)
    assert training.ratio >= min(budget, spaced_out) * 0.85 - one_window


def test_ten_milliseconds_a_step_and_twenty_a_window_mean_one_in_two_seconds():
    training = Training(governor(0.01))
    training.run(60)
    later = training.opened_ns[3:]
    gaps = [b - a for a, b in pairwise(later)]
    assert all(1.9 * S < gap < 2.2 * S for gap in gaps)


def test_what_was_not_spent_gives_no_burst():
    training = Training(governor(0.01))
    training.run(20)
    training.now_ns += 600 * S
    before = len(training.opened_ns)
    training.run(4)
    assert len(training.opened_ns) - before <= 6


def test_a_dear_window_is_paid_for_before_the_next():
    training = Training(governor(0.01), window_ns=S)
    training.run(99)
    assert len(training.opened_ns) == 2
    training.run(3)
    assert len(training.opened_ns) == 3


def test_a_demand_opens_at_once_whatever_the_budget_and_is_not_charged():
    subject = governor(0.0)
    training = Training(subject)
    training.run(1)
    subject.demand(deep=True, steps=3)
    training.run(1)
    assert training.plans == [Plan(3, deep=True, counted=True, demanded=True)]
    charged = governor(0.01)
    training = Training(charged)
    training.run(1)
    opens_at = charged.report(training.now_ns).next_window_ns
    charged.demand(deep=True, steps=1)
    training.window_ns = 5 * S
    training.run(0.001)
    report = charged.report(training.now_ns)
    assert report.cost_ns >= 5 * S
    assert report.next_window_ns in (opens_at, training.now_ns + MIN_SPACING_NS)


def test_deep_makes_the_first_counted_window_deep_and_no_other():
    training = Training(governor(0.01, deep=True))
    training.run(10)
    assert [plan.deep for plan in training.plans][:4] == [False, True, False, False]


def test_failures_back_off_and_a_success_forgives_them():
    subject = governor(0.5)
    subject.start(0)
    for _ in range(5):
        subject.step_ended(0)
    now = S
    delays = []
    for _ in range(4):
        plan = subject.plan(now)
        assert plan is not None
        delays.append(subject.failed(plan, now))
        assert subject.plan(now + delays[-1] - 1) is None
        now += delays[-1]
    assert delays == [FIRST_RETRY_NS * 2**n for n in range(4)]
    plan = subject.plan(now)
    assert plan is not None
    subject.closed(plan, WindowCost(0, MS, 0, None), now)
    assert subject.failed(plan, now) == FIRST_RETRY_NS


def test_a_failed_demand_is_not_tried_again():
    subject = governor(0.0)
    subject.start(0)
    subject.demand(deep=False, steps=1)
    plan = subject.plan(1)
    assert plan is not None
    subject.failed(plan, 1)
    assert subject.plan(10 * S) is None


def test_no_window_opens_while_it_says_that_it_is_idle():
    training = Training(governor(0.01))
    training.run(60.5)
    subject, now = training.governor, training.now_ns
    until = subject.idle_until(now)
    assert now < until == subject.report(now).next_window_ns
    assert subject.plan(until - 1) is None
    assert subject.plan(until) is not None
    subject.demand(deep=True, steps=1)
    assert subject.idle_until(now) == now


def test_it_is_not_idle_while_quiet_steps_are_counted():
    subject = governor(0.0)
    subject.start(0)
    assert subject.idle_until(S) == S
    for _ in range(3):
        subject.step_ended(0)
    assert subject.idle_until(S) == NEVER_NS


def test_standing_down_stops_even_demands():
    subject = governor(1.0)
    subject.start(0)
    subject.demand(deep=False, steps=1)
    subject.stand_down("the script's own profiler")
    assert subject.plan(S) is None
    assert subject.report(S).waiting_for == "the script's own profiler"
    subject.stand_up()
    assert subject.plan(S) is not None


def test_a_lower_budget_counts_from_now_on():
    training = Training(governor(0.2))
    training.run(30)
    training.governor.set_budget(0.01, training.now_ns)
    before = len(training.opened_ns)
    training.run(10)
    assert 3 <= len(training.opened_ns) - before <= 8


def test_the_report_says_what_the_hooks_cost_too():
    hooks_ns = [7 * S]
    training = Training(governor(0.01, hook_cost_ns=lambda: hooks_ns[0]))
    training.run(30)
    hooks_ns[0] += 3 * S  # what came before the first step is not counted
    report = training.governor.report(training.now_ns)
    assert report.hook_cost_ns == 3 * S
    assert report.measured_ratio == pytest.approx(
        (report.cost_ns + 3 * S) / (training.now_ns - 5 * S)
    )
    soon = training.opened_ns[-1] + training.step_ns + training.window_ns
    assert training.governor.report(soon).waiting_for == "budget"


def test_short_steps_are_traced_by_the_handful():
    assert steps_for(None) == 1
    assert steps_for(10 * MS) == 1
    assert steps_for(MS // 2) == 4
    assert steps_for(1) == 64


def test_the_slowdown_is_clamped():
    assert slowdown_ns(12 * MS, 1, None) is None
    assert slowdown_ns(8 * MS, 1, 10 * MS) == 0
    assert slowdown_ns(25 * MS, 2, 10 * MS) == 5 * MS
    assert slowdown_ns(900 * S, 1, 10 * MS) == 30 * MS


@pytest.mark.parametrize(
    ("hooks", "windows"), [(0.0, 0.01), (0.002, 0.008), (0.005, 0.005), (0.1, 0.005)]
)
def test_hooks_are_paid_from_the_budget_but_leave_half_of_it_to_windows(
    hooks: float, windows: float
) -> None:
    made: list[Training] = []
    training = Training(governor(0.01, hook_cost_ns=lambda: int(hooks * (made[0].now_ns - 5 * S))))
    made.append(training)
    training.run(600)
    report = training.governor.report(training.now_ns)
    assert report.cost_ns / report.elapsed_ns == pytest.approx(windows, rel=0.02)
    assert training.ratio == pytest.approx(windows + hooks, rel=0.02)
