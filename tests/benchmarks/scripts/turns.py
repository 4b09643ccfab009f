"""fwtop's hooks in and out of a training script by turns of a few steps, within one process.

Two starts of one script differ by a percent or more, whatever watches them: by where they lie in
memory. And a shared machine's mood changes within a second. So what hooks cost is told best by a
process that has them in some steps and not in the next ones: two in, four out, three in, or the
other way round, which is drawn each time. Nine, for a script has periods of its own, and powers of
two are what they mostly are. Whoever reads the result looks at those alone that come after a step
of their kind, and lie around the same middle, so that what drifts does so for both. For a switch
has a price of its own: Python forgets what it had found of a class that is changed, and looks for
it again in the next step.

fwtop's own thread works twice a second, so it touches few steps of either kind alike. What it
takes is measured afterwards, with the hooks in and the thread on another core, if there is one: by
its CPU time, and by how much longer those steps are within which it worked.

Without fwtop the same turns are taken, and nothing is switched: what comes of that is the method's
error. This reaches into the probe, which has no switch of the kind: a user has no use for one.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import Any

import step_times

if "FWTOP_SOCKET" in os.environ:
    from fwtop_profilers import startup
    from fwtop_profilers.sender import Sender

WARM_UP_S = 7.0
COUNTED_S = 25.0
"""With the hooks in, for the thread's time."""
ROUND = 9
"""Steps, some half of them with hooks."""
OUTER = (0, 1, 6, 7, 8)
"""Those of a round that are like its first one."""


class Turns:
    """The clock of a script, as `step_times.StepTimes` is where the scripts take turns."""

    def __init__(self, result: str, count: int) -> None:
        self._result = result
        self._count = count
        self._switch = Switch()
        self._first_s: float | None = None
        self._began_s: float | None = None
        self._steps_s: list[float] = []
        self._first_in: list[bool] = []
        self._draw = random.Random(0)
        self._counted: Counted | None = None

    def ended(self) -> bool:
        """A step ended; whether the script shall end, too."""
        now_s = time.perf_counter()
        if self._first_s is None:
            step_times.tell_ready(self._result)
            self._first_s = now_s
        if now_s < self._first_s + WARM_UP_S:
            return False
        if len(self._steps_s) < self._count:
            if self._began_s is not None:
                self._steps_s.append(now_s - self._began_s)
            self._switch.turn(self._is_in_next())
            self._began_s = time.perf_counter()
            return False
        if self._counted is None:
            self._switch.turn(True)
            self._switch.free_thread()
            self._counted = Counted(self._switch.thread_s)
        self._counted.ends_s.append(time.perf_counter())
        self._counted.thread_to_s = self._switch.thread_s  # a script may take long to end
        return now_s > self._counted.ends_s[0] + COUNTED_S

    def _is_in_next(self) -> bool:
        place = len(self._steps_s) % ROUND
        if place == 0:
            self._first_in.append(self._draw.random() < 0.5)
        return self._first_in[-1] == (place in OUTER)

    def write(self, loss: float) -> None:
        """As RESULT: the seconds of the steps by turns, and whether each round's first one had
        hooks; the ends of the steps after them, when fwtop's thread worked meanwhile
        ([[from_s, to_s]]), and its CPU time."""
        assert self._counted is not None
        told = {
            "steps_s": self._steps_s,
            "first_in": self._first_in,
            "ends_s": self._counted.ends_s,
            "rounds_s": self._switch.rounds_s,
            "thread_s": self._counted.thread_to_s - self._counted.thread_from_s,
            "loss": loss,
        }
        with open(self._result, "w") as file:
            json.dump(told, file)
        print(f"{len(self._steps_s)} steps, loss {loss:.4f}", file=sys.stderr)


class Counted:
    """The steps in which the thread's time is taken."""

    def __init__(self, thread_s: float) -> None:
        self.thread_from_s = self.thread_to_s = thread_s
        """What it had taken before, and with the last of them."""
        self.ends_s: list[float] = []


class Switch:
    """Puts in and takes out fwtop's hooks in this process."""

    def __init__(self) -> None:
        self._is_in = True
        self._session: Any = None
        self._held: list[tuple[dict[int, Any], dict[int, Any]]] = []
        self.rounds_s: list[tuple[float, float]] = []
        if "FWTOP_SOCKET" in os.environ:
            self._session = startup.session

    @property
    def thread_s(self) -> float:
        """CPU time that fwtop's thread has taken so far."""
        return self._session.sender.cpu_ns / 1e9 if self._session else 0.0

    def free_thread(self) -> None:
        """Let fwtop's thread run on any core, and note from now on when it works."""
        if self._session is None:
            return
        wait, cores, rounds_s = Sender._wait, range(os.cpu_count() or 1), self.rounds_s
        began_s = 0.0

        def noted(sender: Sender) -> None:
            nonlocal began_s
            if began_s:
                rounds_s.append((began_s, time.perf_counter()))
            else:
                os.sched_setaffinity(0, cores)  # of the thread that this runs on
            wait(sender)
            began_s = time.perf_counter()

        Sender._wait = noted  # type: ignore[method-assign]

    def turn(self, is_in: bool) -> None:
        """Have them in, or not."""
        if is_in == self._is_in or self._session is None:
            return
        self._is_in = is_in
        for probe in self._session._probes.values():
            for owner, name, original, replacement, is_own in probe._patches._replaced:
                if is_in:
                    setattr(owner, name, replacement)
                elif is_own:
                    setattr(owner, name, original)
                else:
                    delattr(owner, name)
        self._turn_optimizer_hooks(is_in)

    def _turn_optimizer_hooks(self, is_in: bool) -> None:
        """PyTorch's are in two tables of its own; fwtop's are all that this script has in them."""
        module: Any = sys.modules.get("torch.optim.optimizer")
        if module is None:
            return
        for table, held in self._held:
            table.update(held)
        self._held = []
        if is_in:
            return
        for table in (module._global_optimizer_pre_hooks, module._global_optimizer_post_hooks):
            self._held.append((table, dict(table)))
            table.clear()
