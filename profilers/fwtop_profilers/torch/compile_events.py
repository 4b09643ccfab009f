"""Listens to PyTorch's structured trace of its compiler, and tells the recorder what it compiles.

Owns one `logging.Handler` on the logger `torch.__trace`; PyTorch makes the records only while it
compiles, and only if a handler is there, so nothing is paid otherwise. The user's own handlers
(TORCH_TRACE) are on the same logger and see the same records; its level and `propagate` are left
as they are. Big payloads (a cache key of 70 KB, graphs as text) are dropped here.

What the records mean is `compile_records`' to say. Before PyTorch 2.3 there is no structured trace.
"""

from __future__ import annotations

import logging
import os
from _thread import get_ident
from typing import Callable, Dict, Optional

from fwtop_profilers import clock, wire
from fwtop_profilers.probe import Context
from fwtop_profilers.torch import windows
from fwtop_profilers.torch.compile_records import CompileRecords, Sink

HOOK = "torch compile events"
LOGGER = "torch.__trace"


class RunUnderWay(Sink):
    """The process's own run: events go to the recorder, and its step is flagged."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def send(self, event: wire.CompileEvent) -> None:
        """To the recorder."""
        self._context.send(event)

    def compile_began(self) -> None:
        """No trace window is to open meanwhile."""
        windows.compile_began()

    def compiling(self) -> None:
        """The step's time includes compiling."""
        self._context.tape.flag(wire.STEP_COMPILED)

    def step_index(self) -> Optional[int]:
        """The step under way."""
        return self._context.steps.index


class TraceHandler(logging.Handler):
    """Takes the records in. What it raises stays in it; `logging` lets in one thread at a time."""

    def __init__(
        self, context: Context, package: str, interned: Callable[[int], Optional[str]]
    ) -> None:
        super().__init__(logging.DEBUG)
        self._context = context
        self._records = CompileRecords(RunUnderWay(context), package, interned)

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises and never writes; the first failure switches the hook off."""
        context = self._context
        if context.disabled(HOOK):
            return
        try:
            metadata = getattr(record, "metadata", None)
            if isinstance(metadata, dict):
                payload = getattr(record, "payload", None)
                self._records.take(metadata, payload, clock.now_ns(), get_ident())
        except Exception as error:
            context.fail(HOOK, error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """`logging` would print."""


_way = "none"


def install(context: Context) -> Callable[[], None]:
    """Put the handler on PyTorch's trace logger; returns how to take it off."""
    global _way
    import torch

    structured = getattr(getattr(torch, "_logging", None), "structured", None)
    if not hasattr(getattr(torch, "_logging", None), "trace_structured"):
        _way = "none: PyTorch %s has no structured trace" % torch.__version__
        return lambda: None
    table: Dict[str, int] = getattr(structured, "INTERN_TABLE", {})

    def interned(number: int) -> Optional[str]:
        return next((text for text, known in table.items() if known == number), None)

    logger = logging.getLogger(LOGGER)
    handler = TraceHandler(context, os.path.dirname(torch.__file__) + os.sep, interned)
    logger.addHandler(handler)
    _way = "structured trace"

    def uninstall() -> None:
        logger.removeHandler(handler)

    return uninstall


def describe() -> str:
    """What is listened to, for `Framework.hooks["compile"]`."""
    return _way
