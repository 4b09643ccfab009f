"""What TensorFlow tells of GPU memory, once the script has initialised it.

On the CPU it tells nothing (0 for everything); the process's memory is the host sampler's business,
so nothing is sent rather than a figure that means something else. Peaks are TensorFlow's own and
are never reset here.
"""

from __future__ import annotations

import sys
from typing import Any, List

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns


def gpus(tensorflow: Any) -> List[str]:
    """Names of the logical GPUs, as `GPU:0`; none before the script has initialised the context."""
    context: Any = sys.modules.get("tensorflow.python.eager.context")
    current = context.context_safe() if context is not None else None
    if current is None or not getattr(current, "_initialized", False):
        return []
    return [device.name.partition("device:")[2] for device in current.list_logical_devices("GPU")]


def readings(tensorflow: Any) -> List[wire.Memory]:
    """One reading for each GPU."""
    found = []
    for name in gpus(tensorflow):
        told = tensorflow.config.experimental.get_memory_info(name)
        found.append(
            wire.Memory(
                at_ns=now_ns(),
                device=name.lower().replace("gpu", "cuda"),
                allocated_bytes=told.get("current"),
                reserved_bytes=None,
                active_bytes=None,
                allocated_peak_bytes=told.get("peak"),
                reserved_peak_bytes=None,
            )
        )
    return found
