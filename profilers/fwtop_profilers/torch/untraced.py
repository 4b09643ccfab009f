"""Keeping Dynamo from compiling the probe's own functions.

While a compiled region runs, Dynamo looks at every Python frame that starts on the thread, ours as
well: each would be a frame that it analyses, counts and compiles. torch's own modules are exempt by
their file. The same is asked for here by code object, through what `torch._dynamo` itself uses; it
does not change what becomes of a function that is traced from its caller (a hook in a compiled
optimizer step: that one folds away by `is_dynamo_compiling`).
"""

from __future__ import annotations

import os
from types import CodeType, ModuleType
from typing import Any, Callable, Iterable, Optional


def leave_alone(torch: ModuleType, functions: Iterable[Any], deep: bool = True) -> str:
    """Have frames of these functions, and if `deep` whatever they call, run as they are.

    Returns the way it is done, '' where this torch offers none.
    """
    skip = _skip(torch, deep)
    if skip is None:
        return ""
    for function in functions:
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        if isinstance(code, CodeType):
            skip(code)
    return "skipped by code"


def _skip(torch: ModuleType, deep: bool) -> Optional[Callable[[CodeType], None]]:
    frames: Any = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
    strategy = getattr(frames, "set_code_exec_strategy", None)
    if strategy is not None:
        action = frames._FrameAction
        wanted = frames._FrameExecStrategy(action.SKIP, action.SKIP if deep else action.DEFAULT)
        return lambda code: strategy(code, wanted)
    skip: Optional[Callable[[CodeType], None]] = getattr(frames, "skip_code", None)
    return skip


def functions_of(*owners: Any) -> Iterable[Any]:
    """The functions and methods that modules, classes or objects define."""
    for owner in owners:
        for value in vars(owner if isinstance(owner, (type, ModuleType)) else type(owner)).values():
            if isinstance(value, property):
                yield value.fget
            elif isinstance(value, type) and isinstance(owner, ModuleType):
                if value.__module__ == owner.__name__:
                    yield from functions_of(value)
            else:
                yield getattr(value, "__func__", value)


def compiling_test(torch: ModuleType) -> Callable[[], bool]:
    """A function that Dynamo folds to True while it traces, and that says False otherwise.

    `is_dynamo_compiling` is the one for the purpose, but a frame without operators that asks it is
    compiled where it would have been skipped. Newer Dynamos fold another one without that.
    """
    found: Any = getattr(torch.nn.modules.activation, "_is_make_fx_tracing", None)
    if found is not None and _dynamo_folds(torch, "_is_make_fx_tracing: True"):
        return found  # type: ignore[no-any-return]
    compiler = getattr(torch, "compiler", None)
    for name in ("is_dynamo_compiling", "is_compiling"):
        found = getattr(compiler, name, None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return lambda: False


def _dynamo_folds(torch: ModuleType, rule: str) -> bool:
    """Whether Dynamo's source has the rule: importing Dynamo to ask would take a second."""
    folder = os.path.dirname(getattr(torch, "__file__", None) or "")
    try:
        with open(os.path.join(folder, "_dynamo", "variables", "torch.py"), "rb") as file:
            return rule.encode() in file.read()
    except OSError:
        return False


def eval_frame_callback(torch: ModuleType) -> Callable[[], Any]:
    """A function that gives None while no frame that runs on this thread is looked at by Dynamo.

    It is one in C, because Dynamo would compile ours, and fold it.
    """
    frames: Any = getattr(getattr(torch._C, "_dynamo", None), "eval_frame", None)
    found = getattr(frames, "get_eval_frame_callback", None)
    return (lambda: None) if found is None else found
