"""`mark`: a note of the user's on the run's time axis. Does nothing without fwtop."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # a plain name: importing typing costs every interpreter milliseconds
    from typing import Callable, Optional

receiver: Optional[Callable[[str, Optional[str]], None]] = None
"""Set by `startup` once there is somebody to tell."""


def mark(name: str, value: object = None) -> None:
    """Place a mark at this moment, `mark("epoch", 3)`; `value` is shown as its `str`.

    Never raises, and costs a microsecond.
    """
    if receiver is None:
        return
    try:
        receiver(str(name)[:200], None if value is None else str(value)[:1000])
    except Exception:  # a value whose __str__ raises must not end a training
        return
