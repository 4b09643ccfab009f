"""Plain progress of a run that nobody views: a line now and then, from the recorder's answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fwtop.run_folder import RunFolder

FIRST_S = 10.0
LONGEST_S = 60.0


class Progress:
    """Says a line after 10 s, and then ever less often, up to once a minute."""

    def __init__(self, folder: RunFolder, quiet: bool) -> None:
        self._folder = folder
        self._quiet = quiet
        self._started = time.monotonic()
        self._next = FIRST_S
        self._last: tuple[float, int] | None = None

    def __call__(self, say: Callable[[str], None]) -> None:
        """To be called about once a second."""
        elapsed = time.monotonic() - self._started
        if self._quiet or elapsed < self._next:
            return
        from fwtop import control

        self._next = elapsed + min(LONGEST_S, max(FIRST_S, elapsed))
        try:
            answer = control.ask(self._folder.control_socket, control.Ping(), timeout_s=0.5)
        except control.ControlError:
            return
        say(self._line(elapsed, answer))

    def _line(self, elapsed: float, answer: dict[str, Any]) -> str:
        steps = int(answer.get("steps") or 0)
        parts = [f"{elapsed:.0f} s"]
        if steps:
            parts.append(f"step {steps}")
            if self._last is not None and elapsed > self._last[0]:
                rate = (steps - self._last[1]) / (elapsed - self._last[0])
                parts.append(f"{rate:.3g} steps/s")
        elif answer.get("frameworks"):
            parts.append("no step yet")
        else:
            parts.append("no framework yet")
        if answer.get("windows"):
            parts.append(f"{answer['windows']} windows")
        if answer.get("measured_ratio") is not None:
            parts.append(f"overhead {answer['measured_ratio']:.2%}")
        self._last = (elapsed, steps)
        return ", ".join(parts)
