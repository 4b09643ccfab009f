"""Whether Keras' backend runs what it is told at once, or traces it to run it compiled."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

from fwtop_profilers.tape import Tape


def make_test(backend: str) -> Callable[[], bool]:
    """A function that says whether this thread traces."""
    if backend == "torch":
        import torch

        from fwtop_profilers.torch.untraced import compiling_test

        return compiling_test(torch)
    if backend == "tensorflow":
        from fwtop_profilers.tensorflow import graphs

        return lambda: not graphs.is_eager()
    if backend == "jax":
        core: Any = sys.modules.get("jax.core")
        is_clean = getattr(core, "trace_state_clean", None)
        return (lambda: False) if is_clean is None else (lambda: not is_clean())
    return lambda: False


def make_update_test(backend: str, tape: Tape) -> Optional[Callable[[], bool]]:
    """A function that says whether an optimizer's update is no boundary of its own: it is traced,
    or another replica's. None where the backend's updates do not run in Python."""
    if backend == "torch":
        return make_test(backend)
    if backend == "tensorflow":
        from fwtop_profilers.tensorflow import graphs

        return lambda: graphs.traced_update(tape)
    return None
