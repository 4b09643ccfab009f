from __future__ import annotations

import pytest

from fwtop.devices.peaks import _BOARDS, DTYPES, peak


@pytest.mark.parametrize(
    ("name", "board"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA H200", "H200 SXM"),
        ("NVIDIA H200 NVL", "H200 NVL"),
        ("NVIDIA B200", "B200 SXM"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB SXM"),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB SXM"),
        ("A100-SXM4-40GB", "A100 40GB SXM"),
        ("NVIDIA A100-PCIE-40GB", "A100 40GB PCIe"),
        ("NVIDIA A100 80GB PCIe", "A100 80GB PCIe"),
        ("NVIDIA A100-PG509-200", "A100 40GB SXM"),
        ("Tesla V100-SXM2-16GB", "V100 SXM2"),
        ("Tesla V100-DGXS-32GB", "V100 DGX Station"),
        ("Tesla V100-PCIE-32GB", "V100 PCIe"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA A10", "A10"),
        ("Tesla T4", "T4"),
        ("NVIDIA GeForce RTX 3090", "GeForce RTX 3090"),
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
        ("NVIDIA GeForce RTX 5090", "GeForce RTX 5090"),
    ],
)
def test_nvmls_names(name: str, board: str) -> None:
    found = peak(name)
    assert found is not None
    assert found.board == board


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA A10G",
        "NVIDIA L40",
        "NVIDIA A100-PG506-232",
        "NVIDIA GeForce RTX 3090 Ti",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA T400",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA GB200",
        "",
    ],
)
def test_what_only_looks_alike_is_unknown(name: str) -> None:
    assert peak(name) is None


def test_every_row_is_whole() -> None:
    for _, board in _BOARDS:
        assert board.source
        assert 1e11 < board.memory_bytes_per_s < 1e13
        assert set(board.flops_per_s) <= set(DTYPES)
        assert all(5e12 < flops < 1e16 for flops in board.flops_per_s.values())
        assert board.flops_per_s["float16"] > board.flops_per_s["float32"]


def test_a_board_with_two_names_has_one_peak() -> None:
    """PG509 is the A100 SXM4's board number; a DGX Station's V100 runs at the SXM2's clocks."""
    for name, other in (
        ("NVIDIA A100-PG509-200", "NVIDIA A100-SXM4-40GB"),
        ("Tesla V100-DGXS-16GB", "Tesla V100-SXM2-16GB"),
    ):
        found, same = peak(name), peak(other)
        assert found is not None
        assert same is not None
        assert found.flops_per_s == same.flops_per_s
        assert found.memory_bytes_per_s == same.memory_bytes_per_s
