"""Opens and closes trace windows at step boundaries, as the governor allows.

Owns the window that is open. When and how often is the governor's (`governor`), how a trace is
taken is the way's (a `Way` of the framework's folder), saving it is the saver's (`saver`), what may
lie unread in the folder is the spool's. A framework's own subclass says how its device and its
other profilers are asked. Nothing here runs between boundaries.

A window opens in `on_step_begin` and its recording ends in `on_step_end`, both on the training
thread (`_wake_ns` says from when on they have to be), so that a window holds whole steps. It is
broken off, and costs what it has cost, when what it recorded turns out not to be a step: at a gap
(evaluation), a compile, a fork, or when the script starts a profiler of its own.
"""

from __future__ import annotations

import atexit
import os
import threading
from _thread import get_ident
from typing import Any, Callable, Optional

from fwtop_profilers import clock, wire
from fwtop_profilers.framework_windows import FrameworkWindows
from fwtop_profilers.governor import Governor, Plan
from fwtop_profilers.opened_window import BusyError, Opened, Way, in_words
from fwtop_profilers.probe import Context
from fwtop_profilers.saver import Saver
from fwtop_profilers.spool import Spool

SCRIPTS_PROFILER = "the script's own profiler"
REPORT_NS = 5_000_000_000
"""The governor's bookkeeping is sent this often, besides after each window."""
RETRY_FULL_NS = 250_000_000
RETRY_BUSY_NS = 1_000_000_000
MAX_DEVICE_LAG_STEPS = 8
"""A window is kept open so many steps for the device to finish its own, rather than waiting."""
MAX_WAIT_S = 2.0
MAX_END_WAIT_S = 10.0
"""At the process's end for a trace that C++ is saving without the GIL: it must not be torn down."""


class Windows(FrameworkWindows):
    """The trace windows of one process."""

    def __init__(self, context: Context, way: Way) -> None:
        config = context.config
        self._context = context
        self._tape = context.tape
        self._steps = context.steps
        self._way = way
        self._governor = Governor(
            config.budget_ratio,
            self._steps.median_step_ns,
            config.deep,
            lambda: context.hook_cost_ns,
        )
        self._spool = Spool(config.windows_folder)
        self._lock = threading.RLock()
        self._opened: Optional[Opened] = None
        self._saver = self._make_saver()
        self._made = 0
        self._report_ns = 0
        self._look_again_ns = 0
        self._idle_until_ns = 0
        """Until then no step has anything to ask: most steps pay for one comparison."""
        self._flag_next = False
        self._off = False
        self._pid = os.getpid()

    # --- installing -----------------------------------------------------------------------------

    def install(self) -> None:
        """Listen to the steps, to the user, and for other profilers."""
        self._install_others()
        self._steps.on_step_begin.append(self._on_step_begin)
        self._steps.on_step_end.append(self._on_step_end)
        self._steps.on_gap.append(self._on_gap)
        self._tape.wakes.append(self._wake_ns)
        self._context.on_capture.append(self._on_capture)
        self._context.on_budget.append(self._on_budget)
        os.register_at_fork(before=self._before_fork, after_in_child=self._after_fork_in_child)
        atexit.register(self.uninstall)

    def uninstall(self) -> None:
        """Close what is open, wait for what is being saved, and take everything out."""
        if self._off or os.getpid() != self._pid:
            return
        self._off = True
        atexit.unregister(self.uninstall)
        self._uninstall_others()
        for listeners, listener in (
            (self._steps.on_step_begin, self._on_step_begin),
            (self._steps.on_step_end, self._on_step_end),
            (self._steps.on_gap, self._on_gap),
            (self._tape.wakes, self._wake_ns),
            (self._context.on_capture, self._on_capture),
            (self._context.on_budget, self._on_budget),
        ):
            if listener in listeners:
                listeners.remove(listener)  # type: ignore[arg-type]
        try:
            with self._lock:
                self._break_off("the end")
            self._saver.wait(MAX_END_WAIT_S if self._saver.beside else MAX_WAIT_S)
            with self._lock:
                self._saver.tell_beside()
        except Exception as error:
            self._context.fail(self.hook, error)

    def describe(self) -> str:
        """The way in use, for `Framework.hooks`."""
        return self._way.name

    def compile_began(self) -> None:
        """A compile begins on this thread: it is no part of a step that a window should show."""
        self._guard(self._compile_began)

    # --- listeners ------------------------------------------------------------------------------

    def _on_step_begin(self, index: int, start_ns: int) -> None:
        if start_ns >= self._idle_until_ns:
            self._guard(self._step_began, index, start_ns)

    def _on_step_end(self, index: int, start_ns: int, end_ns: int, flags: int) -> None:
        if flags or end_ns >= self._idle_until_ns:
            self._look_now()
            self._guard(self._step_ended, index, start_ns, end_ns, flags)

    def _on_gap(self, at_ns: int) -> None:
        if self._opened is not None:
            self._guard(self._break_off, "evaluation")
        elif self._saver.beside:
            self._guard(self._saver.tell_beside)

    def _on_capture(self, message: wire.Capture) -> None:
        self._guard(self._governor.demand, message.deep, message.steps)
        self._look_now()

    def _on_budget(self, message: wire.SetBudget) -> None:
        self._guard(self._budget_changed, message.ratio)

    def _wake_ns(self) -> int:
        return clock.NEVER_NS if self._off else self._idle_until_ns

    def _look_now(self) -> None:
        """No step is to be passed by."""
        self._idle_until_ns = 0
        self._tape.wake()

    def _guard(self, function: Callable[..., None], *args: Any) -> None:
        """Run a listener; what it raises ends the windows and never reaches the script."""
        if self._off:
            return
        try:
            with self._lock:
                function(*args)
        except Exception as error:
            self._off = True
            self._context.fail(self.hook, error)
            self._drop_open()

    # --- steps ----------------------------------------------------------------------------------

    def _step_began(self, index: int, start_ns: int) -> None:
        if self._flag_next or self._saver.beside:
            self._flag_next = False
            self._steps.flag(wire.STEP_TRACED)
        opened = self._opened
        if opened is not None:
            self._steps.flag(wire.STEP_TRACED)
            if opened.lag_event is not None:
                self._close_if_device_done(opened)
            return
        if self._steps.framework not in ("", self.framework):
            self._idle_until_ns = start_ns + RETRY_FULL_NS
            return
        if not self._tape.is_here:
            return  # the step is over by now, or another thread's: a trace is taken of one thread
        if not self._governor.started:
            self._governor.start(start_ns)
        if start_ns >= self._report_ns:
            self._report()
        if start_ns >= self._look_again_ns:
            plan = self._governor.plan(start_ns)
            if plan is not None and self._may_open(plan, start_ns):
                self._open(plan, index, start_ns)
                return
        if not self._saver.busy:
            until_ns = max(self._look_again_ns, self._governor.idle_until(start_ns))
            self._idle_until_ns = min(self._report_ns, until_ns)

    def _step_ended(self, index: int, start_ns: int, end_ns: int, flags: int) -> None:
        self._governor.step_ended(flags)
        self._saver.step_ended(start_ns, end_ns)
        opened = self._opened
        if opened is None or index < opened.first_step or opened.lag_event is not None:
            return
        if flags & wire.STEP_COMPILED and not opened.plan.demanded:
            self._break_off("a compile")
            return
        if not opened.steps:
            opened.start_ns = start_ns
        opened.compiled = opened.compiled or bool(flags & wire.STEP_COMPILED)
        opened.steps.append((start_ns, end_ns - start_ns))
        opened.end_ns = end_ns
        if len(opened.steps) >= opened.wanted_steps:
            opened.spans = self._steps.take_spans()
            self._flag_next = True
            opened.lag_event = self._device_event()
            if opened.lag_event is None:
                self._close(opened)
            else:
                self._close_if_device_done(opened)

    def _may_open(self, plan: Plan, now_ns: int) -> bool:
        """Whether nothing else stands in the way; says what does."""
        if self._saver.busy:
            return False
        why = self._others_running() or self._spool.why_full()
        if not why:
            return True
        self._look_again_ns = now_ns + RETRY_FULL_NS
        if plan.demanded:
            self._failed(plan, "waited for " + why)
        elif self._governor.block(why):
            self._report()
        return False

    # --- one window -----------------------------------------------------------------------------

    def _open(self, plan: Plan, index: int, start_ns: int) -> None:
        self._made += 1
        opened = Opened(
            key="%d-%d" % (self._pid, self._made),
            plan=plan,
            way=self._way,
            thread=get_ident(),
            first_step=index,
            start_ns=start_ns,
            anchor=clock.anchor(),
            wanted_steps=plan.steps,
        )
        before = clock.now_ns()
        self._is_ours(True)
        try:
            self._start(opened)
        except BusyError as busy:
            self._look_again_ns = start_ns + RETRY_BUSY_NS
            if self._governor.block(str(busy)):
                self._report()
            return
        except Exception as error:
            self._failed(plan, in_words(error))
            return
        finally:
            self._is_ours(False)
        self._opened = opened
        self._steps.start_spans()
        self._steps.flag(wire.STEP_TRACED)
        opened.start_cost_ns = clock.now_ns() - before

    def _close(self, opened: Opened) -> None:
        """End the recording, on the training thread, and hand the rest to the saver."""
        self._opened = None
        before = clock.now_ns()
        self._is_ours(True)
        try:
            result = opened.way.stop()
        except Exception as error:
            self._failed(opened.plan, in_words(error))
            return
        finally:
            self._is_ours(False)
        opened.stop_cost_ns = clock.now_ns() - before
        self._saver.save(opened, [result])

    def _break_off(self, why: str) -> None:
        """End the open window, if there is one, and throw it away."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        self._steps.take_spans()
        self._flag_next = True
        before = clock.now_ns()
        self._abort(opened)
        now = clock.now_ns()
        self._governor.spent(opened.start_cost_ns + now - before, now)
        self._governor.block(why)

    def _drop_open(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            try:
                self._abort(opened)
            except Exception as error:
                self._context.fail(self.hook, error)

    def _abort(self, opened: Opened) -> None:
        """Only the thread that started a trace can end it; from another one it is left alone."""
        if opened.thread != get_ident() and not self.ends_on_any_thread:
            return
        self._is_ours(True)
        try:
            opened.way.abort()
        finally:
            self._is_ours(False)

    def _failed(self, plan: Plan, reason: str) -> None:
        now = clock.now_ns()
        delay = self._governor.failed(plan, now)
        self._context.send(wire.WindowFailed(now, reason[:400], now + delay))
        self._report()

    # --- saving ---------------------------------------------------------------------------------

    def _make_saver(self) -> Saver:
        return Saver(self._lock, self._spool, self.suffix, self._saved, self._not_saved)

    def _saved(self, opened: Opened) -> None:
        """The trace lies in the folder, and what it cost is known."""
        cost = opened.cost(self._steps.median_step_ns())
        self._spool.added(opened.path, opened.size_bytes)
        self._governor.closed(opened.plan, cost, clock.now_ns())
        self._context.send(opened.message(cost, self.trace_format))
        self._report()

    def _not_saved(self, opened: Opened, error: Exception) -> None:
        self._failed(opened.plan, in_words(error))

    # --- what else happens ----------------------------------------------------------------------

    def _report(self) -> None:
        now = clock.now_ns()
        self._report_ns = now + REPORT_NS
        self._context.send(self._governor.report(now))

    def _budget_changed(self, ratio: float) -> None:
        self._governor.set_budget(ratio, clock.now_ns())
        self._look_now()
        self._report()

    def _compile_began(self) -> None:
        opened = self._opened
        if opened is not None and opened.thread == get_ident() and not opened.plan.demanded:
            self._break_off("a compile")

    def _make_way(self) -> None:
        """The script's own profiler is about to start: ours ends first."""
        self._guard(self._stand_down)
        opened = self._opened
        if (opened is not None and opened.thread != get_ident()) or self._saver.beside:
            self._saver.wait(MAX_WAIT_S)

    def _stand_down(self) -> None:
        self._governor.stand_down(SCRIPTS_PROFILER)
        opened = self._opened
        if opened is not None and opened.thread == get_ident():
            self._break_off(SCRIPTS_PROFILER)
        self._report()

    def _others_over(self) -> None:
        self._guard(self._governor.stand_up)
        self._look_now()

    def _before_fork(self) -> None:
        """A child must not inherit a running profiler, which would record there for ever."""
        opened = self._opened
        if opened is not None and opened.thread == get_ident():
            self._guard(self._break_off, "a fork")

    def _after_fork_in_child(self) -> None:
        self._off = True
        self._opened = None
        self._lock = threading.RLock()
        self._saver = self._make_saver()

    # --- the device -----------------------------------------------------------------------------

    def _close_if_device_done(self, opened: Opened) -> None:
        """Kernels that still run would be missing. A step or two later they have ended, and the
        device has work queued while we stop; only a script far ahead of it is made to wait."""
        if opened.lag_event.query():
            self._close(opened)
            return
        opened.lag_steps += 1
        if opened.lag_steps > MAX_DEVICE_LAG_STEPS:
            opened.lag_event.synchronize()
            self._close(opened)
