"""`--step-on call:package.module:function`: a call of the user's function is a step.

Owns finding the function and wrapping it, and nothing of what a step is. The function may be a
method (`pkg.mod:Trainer.train_step`). In the script itself it is named by the script's own name
(`call:train:step` for train.py) or `__main__`; it is wrapped at the first event after its `def`,
because nothing tells when a script has defined it. If that event comes from within its first call,
that call is a step too, which then lasts until the next one begins.
"""

from __future__ import annotations

import functools
import os
import sys
from types import ModuleType
from typing import Any, Callable, List, Optional, Tuple

from fwtop_profilers import import_hook
from fwtop_profilers.tape import Tape
from fwtop_profilers.wraps import hide

STEP_KEY = 1


def parse(step_on: str) -> Optional[Tuple[str, str]]:
    """(module, function) of `call:module:function`; None for anything else."""
    kind, _, rest = step_on.partition(":")
    module, _, function = rest.partition(":")
    return (module, function) if kind == "call" and module and function else None


def names_script(module: str) -> bool:
    """Whether `module` means the script that runs."""
    path = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    return module == "__main__" or os.path.splitext(os.path.basename(path))[0] == module


class StepCalls:
    """The wrapped function of one process."""

    def __init__(self, tape: Tape, is_compiling: Callable[[], bool]) -> None:
        self._tape = tape
        self._steps = tape.steps
        self._is_compiling = is_compiling
        self._undo: List[Callable[[], None]] = []
        self._wanted: Optional[Tuple[str, str]] = None
        self._first_is_open = False

    def install(self) -> None:
        """Wrap the function, now or when it exists; does nothing for other `--step-on`."""
        self._wanted = parse(self._steps.source or "")
        if self._wanted is None:
            return
        module, _ = self._wanted
        if names_script(module):
            self._steps.on_boundary.append(self._look)
        else:
            import_hook.when_imported(module, lambda found: _ignore(self._wrap(found)))

    def uninstall(self) -> None:
        """Put the function back."""
        while self._undo:
            self._undo.pop()()
        if self._wanted is not None:
            import_hook.forget(self._wanted[0])

    def _look(self, name: str, at_ns: int) -> None:
        script = sys.modules.get("__main__")
        if script is not None and self._wrap(script):
            self._steps.on_boundary.remove(self._look)

    def _wrap(self, module: ModuleType) -> bool:
        if self._wanted is None:
            return False
        owner: Any = module
        *path, name = self._wanted[1].split(".")
        for part in path:
            owner = getattr(owner, part, None)
        original = getattr(owner, name, None)
        if not callable(original):
            return False
        if hasattr(original, "fwtop_original"):
            return True  # another framework's probe in this process has wrapped it
        setattr(owner, name, self._stepping(original))
        if _is_running(original):
            self._first_is_open = True
            _quietly(self._tape, self._tape.unit_begin)
        self._undo.append(lambda: setattr(owner, name, original))
        return True

    def _stepping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        is_compiling, tape = self._is_compiling, self._tape

        @functools.wraps(original)
        def step(*args: Any, **kwargs: Any) -> Any:
            if is_compiling():
                return original(*args, **kwargs)
            if self._first_is_open:
                self._first_is_open = False
                _quietly(tape, tape.unit_end)
            _quietly(tape, tape.unit_begin)
            try:
                return original(*args, **kwargs)
            except BaseException as raised:
                hide(raised)
                raise
            finally:
                _quietly(tape, tape.unit_end)

        step.fwtop_original = original  # type: ignore[attr-defined]
        return step


def _is_running(function: Any) -> bool:
    """Whether this thread is within a call of the function, or of the object that is called."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code is code or frame.f_locals.get("self") is function:
            return True
        frame = frame.f_back
    return False


def _ignore(result: object) -> None:
    return None


def _quietly(tape: Tape, event: Callable[[int], None]) -> None:
    try:
        event(STEP_KEY)
    except Exception as error:  # told of and counted; the call goes on
        tape.on_failure("call", error)
