"""What a device can do at most, by its name: FLOP/s by dtype, and bytes a second of its memory.

Figures are the vendor's, dense (without structured sparsity), at boost clocks, multiply and add
counted as two; `source` names the document. `float32` is without tensor cores, `tf32` with them,
`float64` the better of both; `int8` is operations a second.
Names are NVML's (`NVIDIA H100 80GB HBM3` is the SXM board, `NVIDIA H100 PCIe` the card).
Unknown boards are None: a guessed peak would make every share of it wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

TERA = 1_000_000_000_000
GIGA = 1_000_000_000

DTYPES = ("float64", "float32", "tf32", "bfloat16", "float16", "float8", "int8")


@dataclass(frozen=True, slots=True)
class Peak:
    """One board's limits."""

    board: str
    flops_per_s: Mapping[str, float]
    """By dtype, of `DTYPES`; a dtype that the board has no such unit for is absent."""
    memory_bytes_per_s: float
    source: str


def _peak(
    board: str,
    memory_gb_per_s: float,
    source: str,
    *,
    float64: float | None = None,
    float32: float | None = None,
    tf32: float | None = None,
    bfloat16: float | None = None,
    float16: float | None = None,
    float8: float | None = None,
    int8: float | None = None,
) -> Peak:
    """A row, as the data sheets write it: TFLOP/s and GB/s."""
    tera = (float64, float32, tf32, bfloat16, float16, float8, int8)
    flops = {d: t * TERA for d, t in zip(DTYPES, tera, strict=True) if t is not None}
    return Peak(board, flops, memory_gb_per_s * GIGA, source)


_HOPPER = {"float64": 67.0, "float32": 67.0, "tf32": 494.7, "bfloat16": 989.4, "float16": 989.4}
_HOPPER |= {"float8": 1978.9, "int8": 1978.9}
_AMPERE = {"float64": 19.5, "float32": 19.5, "tf32": 156.0, "bfloat16": 312.0, "float16": 312.0}
_AMPERE |= {"int8": 624.0}

# Name pattern, then the board. The first that matches counts, so the special come first.
_BOARDS: tuple[tuple[str, Peak], ...] = (
    (r"\bB200\b", _peak(
        "B200 SXM", 7700, "NVIDIA HGX B200 data sheet; dense is half of sparse",
        float64=37, float32=75, tf32=1100, bfloat16=2250, float16=2250, float8=4500, int8=4500,
    )),
    (r"\bH200 NVL\b", _peak(
        "H200 NVL", 4800, "NVIDIA H200 data sheet; dense is half of sparse",
        float64=60, float32=60, tf32=417.5, bfloat16=835.5, float16=835.5, float8=1670.5,
        int8=1670.5,
    )),
    (r"\bH200\b", _peak(
        "H200 SXM", 4800, "NVIDIA H200 data sheet; dense is half of sparse", **_HOPPER,
    )),
    (r"\bH100 PCIe\b", _peak(
        "H100 PCIe", 2000, "NVIDIA H100 PCIe data sheet (2023); dense is half of sparse",
        float64=51, float32=51, tf32=378, bfloat16=756, float16=756, float8=1513, int8=1513,
    )),
    (r"\bH100 NVL\b", _peak(
        "H100 NVL", 3900, "NVIDIA H100 data sheet; dense is half of sparse",
        float64=60, float32=60, tf32=417.5, bfloat16=835.5, float16=835.5, float8=1670.5,
        int8=1670.5,
    )),
    (r"\bH100\b.*\bHBM3\b|\bH100 SXM", _peak(
        "H100 SXM", 3350, "NVIDIA H100 data sheet; dense is half of sparse", **_HOPPER,
    )),
    (r"\bA100[- ]SXM.*80GB", _peak("A100 80GB SXM", 2039, "NVIDIA A100 data sheet", **_AMPERE)),
    (r"\bA100[- ]SXM.*40GB", _peak("A100 40GB SXM", 1555, "NVIDIA A100 data sheet", **_AMPERE)),
    # NVIDIA's driver documents list this board number with the SXM4-40GB's PCI id, 20B0.
    (r"\bA100[- ]PG509-2\d\d\b", _peak(
        "A100 40GB SXM", 1555, "NVIDIA A100 data sheet; PG509 is its SXM4 40 GB board", **_AMPERE,
    )),
    (r"\bA100[- ]PCI.*80GB|\bA100 80GB PCI",
     _peak("A100 80GB PCIe", 1935, "NVIDIA A100 data sheet", **_AMPERE)),
    (r"\bA100[- ]PCI.*40GB", _peak("A100 40GB PCIe", 1555, "NVIDIA A100 data sheet", **_AMPERE)),
    (r"\bV100[- ]SXM2", _peak(
        "V100 SXM2", 900, "NVIDIA V100 data sheet", float64=7.8, float32=15.7, float16=125,
    )),
    (r"\bV100[- ]DGXS", _peak(
        "V100 DGX Station", 900, "NVIDIA DGX Station (V100) data sheet: 500 TFLOPS of four V100",
        float64=7.8, float32=15.7, float16=125,
    )),
    (r"\bV100[- ]PCI", _peak(
        "V100 PCIe", 900, "NVIDIA V100 data sheet", float64=7, float32=14, float16=112,
    )),
    (r"\bL40S\b", _peak(
        "L40S", 864, "NVIDIA L40S data sheet; dense",
        float32=91.6, tf32=183, bfloat16=362.05, float16=362.05, float8=733, int8=733,
    )),
    (r"\bL4\b", _peak(
        "L4", 300, "NVIDIA L4 data sheet; dense is half of sparse",
        float32=30.3, tf32=60, bfloat16=121, float16=121, float8=242.5, int8=242.5,
    )),
    (r"\bA10\b", _peak(
        "A10", 600, "NVIDIA A10 data sheet",
        float32=31.2, tf32=62.5, bfloat16=125, float16=125, int8=250,
    )),
    (r"\bT4\b", _peak("T4", 320, "NVIDIA T4 data sheet", float32=8.1, float16=65, int8=130)),
    (r"\bRTX 5090\b(?! D| Laptop)", _peak(
        "GeForce RTX 5090", 1792,
        "NVIDIA RTX Blackwell architecture white paper; 16-bit with 32-bit accumulate",
        float32=104.8, tf32=104.8, bfloat16=209.5, float16=209.5, float8=419, int8=838,
    )),
    (r"\bRTX 4090\b(?! D| Laptop)", _peak(
        "GeForce RTX 4090", 1008,
        "NVIDIA Ada architecture white paper; 16-bit with 32-bit accumulate",
        float32=82.6, tf32=82.6, bfloat16=165.2, float16=165.2, float8=330.3, int8=660.6,
    )),
    (r"\bRTX 3090\b(?! Ti)", _peak(
        "GeForce RTX 3090", 936,
        "NVIDIA GA102 architecture white paper; 16-bit with 32-bit accumulate",
        float32=35.6, tf32=35.6, bfloat16=71, float16=71, int8=284,
    )),
)  # fmt: skip


def peak(name: str) -> Peak | None:
    """The peak of a board by NVML's name for it.

    None for boards that are not in the table, and for MIG instances: theirs is a share of the
    board's.
    """
    if re.search(r"\bMIG\b", name):
        return None
    for pattern, board in _BOARDS:
        if re.search(pattern, name):
            return board
    return None
