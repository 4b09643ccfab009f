"""Calls into a driver that may hang, made so that nobody waits for them longer than agreed.

All calls run one after another in one daemon thread, because NVML wants its calls on a thread of
their own and a second one would only hang beside the first. A call past its deadline goes on in its
thread; until it returns, further calls are refused at once, and its late answer is thrown away.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class DeadlineExceededError(Exception):
    """The call did not return in time, or an earlier one still has not."""

    def __init__(self, name: str, hanging_s: float) -> None:
        super().__init__(f"{name} has not returned for {hanging_s:.1f} s")
        self.hanging_s = hanging_s
        """How long the call that hangs has been under way."""


class _Call(Generic[Answer]):
    """One call, its answer or its exception, and the event that says that it is there."""

    def __init__(self, function: Callable[[], Answer]) -> None:
        self.function = function
        self.started = time.monotonic()
        self.done = threading.Event()
        self.answer: list[Answer] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answer.append(self.function())
        except BaseException as error:  # handed to the caller, whatever it is
            self.error = error
        self.done.set()


class DeadlineThread:
    """One thread that calls on behalf of others, who wait with a deadline."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call[object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hanging: _Call[object] | None = None

    @property
    def hanging(self) -> bool:
        """Whether a call is past its deadline and has still not returned."""
        if self._hanging is not None and self._hanging.done.is_set():
            self._hanging = None
        return self._hanging is not None

    def call(self, function: Callable[[], Answer], deadline_s: float) -> Answer:
        """What `function` returns, or raises.

        Raises DeadlineExceededError after `deadline_s`, and at once while an earlier call hangs.
        """
        if self._hanging is not None and self.hanging:
            raise DeadlineExceededError(self._name, time.monotonic() - self._hanging.started)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        call = _Call(function)
        self._calls.put(call)  # type: ignore[arg-type]  # the thread cares for no answer's type
        if not call.done.wait(deadline_s):
            self._hanging = call  # type: ignore[assignment]
            raise DeadlineExceededError(self._name, time.monotonic() - call.started)
        if call.error is not None:
            raise call.error
        return call.answer[0]

    def close(self) -> None:
        """End the thread once it is free; one that hangs is left behind, and delays no exit."""
        if self._thread is not None:
            self._calls.put(None)
            if not self.hanging:
                self._thread.join(timeout=1)
            self._thread = None

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
