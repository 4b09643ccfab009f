"""What the kernels in the trace windows tell: too small, no tensor cores, launched one by one,
communication that nothing hides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fwtop.analysis.device_use import PRODUCTS
from fwtop.analysis.finders.facts import Facts, Finding
from fwtop.analysis.tensor_cores import uses_tensor_cores
from fwtop.formatting import ellipsis_middle, format_duration, format_ratio
from fwtop.recording.window_model import KernelRow, Window

UNFILLED_SHARE = 0.15
"""Of the traced steps' time: multiprocessors idle beside kernels that ran. Less is not worth it."""
SMALL_SM_EFFICIENCY = 0.60
"""Of the multiprocessors, while kernels other than collectives run."""
LOW_OCCUPANCY = 0.30
"""Of kernels that need it to hide the latency of memory: not of matrix products, whose large tiles
leave room for few warps by design."""
OCCUPANCY_MATTERS = 0.25
"""Of the kernels' time, that of such kernels."""
PRODUCTS_MATTER = 0.20
"""Of the kernels' time, that of matrix products."""
FEW_TENSOR_CORES = 0.50
"""Of the products' time."""
EXPOSED_SHARE = 0.10
"""Of the traced steps' time: communication beside which nothing was computed."""
LAUNCH_BOUND_WAIT = 0.15
"""Of the time, the device waits for the host to launch the next kernel …"""
LAUNCH_BOUND_DELAY_NS = 20_000
"""… and half of what is launched begins within this, so that nothing was queued. An idle device
begins a kernel some 2 to 10 µs after its launch."""
_HAS_TENSOR_CORES = re.compile(r"\b(volta|ampere|hopper)_|(?<![a-z])sm_?(70|80|86|89|90|100)")
"""In a kernel's name: the architecture that it was built for."""
_CAPABILITY = re.compile(r"(\d{1,3})\.\d{1,3}")
_NAME_CELLS = 60


def launch_bound(facts: Facts) -> Iterator[Finding]:
    """The host cannot launch as fast as the device finishes; `devices.gpu_idle` is the rest."""
    use, share = facts.device_use, host_wait_share(facts.windows)
    if not is_launch_bound(facts) or use is None or share is None:
        return
    per = max(1, facts.steps_traced)
    kernel_ns = sum(row.total_ns for row in facts.kernels) / max(
        1, sum(r.calls for r in facts.kernels)
    )
    yield Finding(
        code="launch_bound",
        severity="warning",
        why=f"The GPU waited {format_ratio(share)} of the traced time for the host to launch the "
        f"next kernel: {use.launches / per:,.0f} launches a step, a mean kernel of "
        f"{format_duration(kernel_ns)}, and half of them began within "
        f"{format_duration(use.launch_delay_median_ns)} of their launch, so nothing was queued.",
        evidence={
            "host_wait_ratio": share,
            "launches": use.launches / per,
            "kernel_mean_ns": kernel_ns,
            "launch_delay_median_ns": use.launch_delay_median_ns,
            "queue_max": use.queue_max,
        },
        next="fewer and larger kernels: torch.compile (mode='reduce-overhead' makes CUDA graphs), "
        "XLA's jit_compile=True, fused or foreach optimizers, larger batches; the Operators screen "
        "shows what the host does meanwhile",
        cost_ratio=share,
    )


def is_launch_bound(facts: Facts) -> bool:
    """Whether the device waits for launches and never has any to choose from."""
    share, use = host_wait_share(facts.windows), facts.device_use
    delay_ns = use.launch_delay_median_ns if use is not None else None
    return (
        share is not None
        and share > LAUNCH_BOUND_WAIT
        and delay_ns is not None
        and delay_ns <= LAUNCH_BOUND_DELAY_NS
    )


def host_wait_share(windows: Sequence[Window]) -> float | None:
    """Of the traced time on the device, waits for the host."""
    told = [w for w in windows if w.span_ns and w.host_wait_ns is not None]
    span_ns = sum(window.span_ns or 0 for window in told)
    return sum(window.host_wait_ns or 0 for window in told) / span_ns if span_ns else None


def small_kernels(facts: Facts) -> Iterator[Finding]:
    """Kernels ran, but left most multiprocessors without a block."""
    measured = [row for row in _own(facts) if row.measured_ns and row.sm_busy_ns is not None]
    time_ns = sum(row.measured_ns or 0 for row in measured)
    utilization = facts.device_use.utilization_ratio if facts.device_use else None
    if not time_ns or utilization is None:
        return
    filled = sum(row.sm_busy_ns or 0.0 for row in measured) / time_ns
    lost = utilization * (1 - filled)
    if filled >= SMALL_SM_EFFICIENCY or lost <= UNFILLED_SHARE:
        return
    worst = max(measured, key=lambda row: (row.measured_ns or 0) - (row.sm_busy_ns or 0.0))
    yield Finding(
        code="small_kernels",
        severity="warning",
        why=f"While kernels ran ({format_ratio(utilization)} of the time), they had blocks for "
        f"{format_ratio(filled)} of the multiprocessors. Most is lost in {_named(worst)}: "
        f"{format_ratio(worst.sm_efficiency_ratio)}.",
        evidence={
            "sm_efficiency_ratio": filled,
            "utilization_ratio": utilization,
            "unfilled_ratio": lost,
            "kernel": worst.name,
            "kernel_sm_efficiency_ratio": worst.sm_efficiency_ratio,
        },
        next="more work a kernel: larger batches or sequences, fused kernels (torch.compile, XLA); "
        "independent work on several streams",
        cost_ratio=lost,
    )


def low_occupancy(facts: Facts) -> Iterator[Finding]:
    """Kernels that wait for memory have few warps to hide it with."""
    kernels_ns = sum(row.total_ns for row in _own(facts))
    rows = [
        row
        for row in _own(facts)
        if row.family not in PRODUCTS and row.measured_ns and row.occupied_ns is not None
    ]
    time_ns = sum(row.measured_ns or 0 for row in rows)
    if not kernels_ns or time_ns / kernels_ns <= OCCUPANCY_MATTERS:
        return
    occupancy = sum(row.occupied_ns or 0.0 for row in rows) / time_ns
    if occupancy >= LOW_OCCUPANCY:
        return
    worst = max(rows, key=lambda row: (row.measured_ns or 0) - (row.occupied_ns or 0.0))
    yield Finding(
        code="low_occupancy",
        severity="info",
        why=f"Kernels other than matrix products, {format_ratio(time_ns / kernels_ns)} of the "
        f"kernels' time, have an estimated occupancy of {format_ratio(occupancy)}. Most of it is "
        f"{_named(worst)}: {format_ratio(worst.occupancy_ratio)}.",
        evidence={
            "occupancy_ratio": occupancy,
            "kernels_ratio": time_ns / kernels_ns,
            "kernel": worst.name,
            "kernel_occupancy_ratio": worst.occupancy_ratio,
        },
        next="larger batches, or fused kernels (torch.compile, XLA); in kernels of your own, fewer "
        "registers and less shared memory a thread",
    )


def tensor_cores_unused(facts: Facts) -> Iterator[Finding]:
    """Matrix products run on the plain cores of a device that has tensor cores."""
    kernels_ns = sum(row.total_ns for row in _own(facts))
    products = [row for row in _own(facts) if row.family in PRODUCTS]
    products_ns = sum(row.total_ns for row in products)
    if not kernels_ns or products_ns / kernels_ns < PRODUCTS_MATTER:
        return
    plain = [row for row in products if not uses_tensor_cores(row.name)]
    plain_ns = sum(row.total_ns for row in plain)
    used = 1 - plain_ns / products_ns
    why_able = _has_tensor_cores(facts)
    if used >= FEW_TENSOR_CORES or why_able is None or all(map(_generated, plain)):
        return
    dtypes = sorted(dtype for dtype in facts.flops.dtypes if dtype) if facts.flops else []
    half = bool(dtypes) and all(dtype in ("float16", "bfloat16") for dtype in dtypes)
    longest = max(plain, key=lambda row: row.total_ns)
    yield Finding(
        code="tensor_cores_unused",
        severity="warning",
        why=f"Matrix products take {format_ratio(products_ns / kernels_ns)} of the kernels' time, "
        f"and {format_ratio(used)} of that is on tensor cores, which the device has ({why_able}). "
        f"The longest that is not: {_named(longest)}"
        + (f"; inputs are {', '.join(dtypes)}." if dtypes else "."),
        evidence={
            "tensor_core_ratio": used,
            "products_ratio": products_ns / kernels_ns,
            "kernel": longest.name,
            "dtypes": ", ".join(dtypes) or None,
        },
        next="make the sizes of matrices (features, channels, vocabulary) multiples of 8"
        if half
        else "mixed precision (torch.autocast, keras.mixed_precision); from Ampere on also TF32: "
        "torch.set_float32_matmul_precision('high'), torch.backends.cudnn.allow_tf32",
        cost_ratio=plain_ns / kernels_ns / 2,
    )


def exposed_communication(facts: Facts) -> Iterator[Finding]:
    """Collectives run while nothing is computed."""
    told = [
        w for w in facts.windows if w.span_ns and w.communication_ns and w.overlap_ns is not None
    ]
    span_ns = sum(window.span_ns or 0 for window in told)
    communication_ns = sum(window.communication_ns or 0 for window in told)
    overlap_ns = sum(window.overlap_ns or 0 for window in told)
    exposed = (communication_ns - overlap_ns) / span_ns if span_ns else 0.0
    if exposed <= EXPOSED_SHARE:
        return
    steps = max(1, sum(window.step_count for window in told))
    collectives = [row for row in facts.kernels if row.family == "collective"]
    longest = max(collectives, key=lambda row: row.total_ns, default=None)
    yield Finding(
        code="communication_exposed",
        severity="warning",
        why=f"Communication takes {format_duration(communication_ns / steps)} a step on the GPU, "
        f"and computing hides {format_ratio(overlap_ns / communication_ns)} of it: "
        f"{format_ratio(exposed)} of the traced time is nothing but communication."
        + (f" Most is {_named(longest)}." if longest is not None else ""),
        evidence={
            "communication_ns": communication_ns / steps,
            "overlap_ratio": overlap_ns / communication_ns,
            "exposed_ratio": exposed,
            "kernel": longest.name if longest is not None else None,
        },
        next="let gradients go while backward runs: DDP's bucket_cap_mb, FSDP's prefetching; "
        "no_sync() while gradients accumulate; larger batches a GPU; look for a rank that comes "
        "late, as the others wait for it inside the collective",
        cost_ratio=exposed,
    )


def _own(facts: Facts) -> Iterator[KernelRow]:
    """Kernels that compute: no copies, no fills, and no collectives, which need few blocks."""
    for row in facts.kernels:
        if row.family != "collective" and not row.name.startswith(("Memcpy", "Memset")):
            yield row


def _has_tensor_cores(facts: Facts) -> str | None:
    """How it is known that the devices have tensor cores; None where it is not."""
    for device in facts.used_devices:
        capability = device.facts.get("compute_capability")
        known = _CAPABILITY.fullmatch(capability) if isinstance(capability, str) else None
        if known is not None:
            # 7.5 is Turing, of which the cheapest boards have none.
            return None if int(known[1]) < 7 or known[0] == "7.5" else device.name
    if any(uses_tensor_cores(row.name) for row in facts.kernels):
        return "other kernels use them"
    named = next((r.name for r in facts.kernels if _HAS_TENSOR_CORES.search(r.name)), None)
    found = _HAS_TENSOR_CORES.search(named) if named else None
    return f"kernels for {found[0].strip('_')} run on it" if found else None


def _generated(row: KernelRow) -> bool:
    """Whether a compiler made it, whose names do not tell."""
    return row.name.startswith("triton_") or "fusion" in row.name


def _named(row: KernelRow) -> str:
    return ellipsis_middle(row.name, _NAME_CELLS)
