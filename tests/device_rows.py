"""What a synthetic recording's trace windows tell of its devices, beside kernels and operators."""

from __future__ import annotations

from typing import Protocol

from fwtop.analysis.sketch import Sketch
from fwtop.recording.window_model import STEP_CLASSES

MS = 1_000_000
TERA = 1_000_000_000_000

KERNEL_USE = {
    "convolution": (0.99, 0.31),
    "normalization": (0.97, 0.68),
    "elementwise": (0.98, 0.92),
    "matmul": (0.93, 0.28),
    "reduction": (0.62, 0.55),
    "optimizer": (0.71, 0.83),
}
"""By family: its share of the multiprocessors, and its occupancy. Copies have none."""
STEP_FLOPS = {
    "aten::cudnn_convolution": ("aten::convolution", 3.9),
    "aten::convolution_backward": ("aten::convolution_backward", 7.7),
    "aten::addmm": ("aten::addmm", 0.01),
    "aten::mm": ("aten::mm", 0.02),
}
"""In TFLOP a step, in float16."""
_STEP_SHARES = (0.84, 0.02, 0.001, 0.0, 0.03, 0.05, 0.05)
"""By class; other has the rest."""


class Inserts(Protocol):
    """What a recording is written through."""

    def insert(self, table: str, **columns: object) -> int:
        """One row."""


def add_window_device(
    to: Inserts, window_id: int, step_index: int, span_ns: int, kernels: dict[str, int]
) -> None:
    """One device's use and one step by class; `kernels` is the kernels' time by family."""
    used = {family: ns for family, ns in kernels.items() if family in KERNEL_USE}
    whole = sum(used.values())
    delays = Sketch()
    delays.add_many([400_000 + 9_000 * number for number in range(420)])
    to.insert(
        "window_devices", window_id=window_id, device=0, span_ns=span_ns,
        busy_ns=min(span_ns, whole), kernel_ns=whole, measured_ns=whole,
        sm_busy_ns=sum(KERNEL_USE[family][0] * ns for family, ns in used.items()),
        occupied_ns=sum(KERNEL_USE[family][1] * ns for family, ns in used.items()),
        tensor_core_ns=used.get("convolution", 0), launches=420,
        launch_delay_sum_ns=420 * 2_285_500, launch_delays=delays.to_bytes(), queue_max=184,
    )  # fmt: skip
    parts = [int(span_ns * share) for share in _STEP_SHARES]
    classes = dict(zip(STEP_CLASSES, [*parts, span_ns - sum(parts)], strict=True))
    to.insert(
        "step_breakdowns", window_id=window_id, step_index=step_index,
        **{f"{name}_ns": value for name, value in classes.items()},
    )  # fmt: skip
