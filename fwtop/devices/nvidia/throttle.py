"""Why a GPU's clocks are held down, in words.

Bits: nvmlClocksEventReasons (before CUDA 12.2 nvmlClocksThrottleReasons) of the NVML reference.
"""

from __future__ import annotations

IDLE = 0x1
"""Clocks fall because nothing runs: no throttle."""

HW_SLOWDOWN = 0x8
"""Set beside its own causes, thermal and power brake, and alone where the board tells no cause."""

REASONS = {
    0x4: "power cap",
    0x40: "hw thermal",
    0x80: "power brake",
    0x20: "sw thermal",
    0x10: "sync boost",
    0x2: "application clocks",
    0x100: "display clocks",
    0x200: "board limit",
    0x400: "reliability",
}


def words(bits: int) -> str:
    """The reasons in `bits`, comma-separated, the gravest first; `''` for none."""
    found = [word for bit, word in REASONS.items() if bits & bit]
    if bits & HW_SLOWDOWN and not bits & (0x40 | 0x80):
        found.insert(0, "hw slowdown")
    unknown = bits & ~(sum(REASONS) | IDLE | HW_SLOWDOWN)
    if unknown:
        found.append(f"other 0x{unknown:x}")
    return ",".join(found)
