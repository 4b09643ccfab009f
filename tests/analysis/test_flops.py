from __future__ import annotations

import pytest

from fwtop.analysis.flops import dtype_of, flops, of_operator
from fwtop.analysis.nesting import Nest
from fwtop.analysis.phases import Segments
from fwtop.analysis.results import FlopFigures
from fwtop.traces.model import Track

CONV = ["[]", "", "", "[2, 2]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"]

BACK = ["", "", "", "[0]", "[2, 2]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"]


def values(*texts: str) -> str:
    return "[" + ",".join(f'"{text}"' for text in texts) + "]"


@pytest.mark.parametrize(
    ("name", "shapes", "given", "expected"),
    [
        ("aten::mm", "[[2, 3], [3, 4]]", "", 2 * 2 * 3 * 4),
        ("aten::bmm", "[[7, 2, 3], [7, 3, 4]]", "", 7 * 2 * 2 * 3 * 4),
        ("aten::addmm", "[[4], [2, 3], [3, 4], [], []]", "", 2 * 2 * 3 * 4),
        ("aten::mm", "[[2, 3], [5, 4]]", "", None),
        ("aten::mm", "[[2, 3]]", "", None),
        ("aten::mm", "[[], []]", "", None),
        ("aten::mm", "{}", "", None),
        ("aten::mm", "[" * 100_000, "", None),
        ("aten::mm", "[[-2, 3], [3, 4]]", "", None),
        ("aten::mm", f"[[{10**40}, 3], [3, 4]]", "", None),
        ("aten::relu", "[[2, 3]]", "", None),
        # 8x8 to 4x4 with stride 2 and padding 1: each of 2 x 4 x 4 outputs takes 3 x 3 weights.
        (
            "aten::convolution",
            "[[5, 1, 8, 8], [2, 1, 3, 3], [2], [], [], [], [], [], []]",
            values(*CONV),
            5 * 2 * 4 * 4 * 2 * 9,
        ),
        ("aten::convolution", "[[5, 1, 8, 8], [2, 1, 3, 3]]", "", None),
        # Transposed: each of 5 x 8 x 8 inputs meets each of the weights.
        (
            "aten::convolution",
            "[[5, 1, 8, 8], [1, 2, 3, 3]]",
            values(*CONV[:6], "True"),
            2 * 5 * 8 * 8 * 2 * 9,
        ),
        (
            "aten::convolution_backward",
            "[[5, 2, 4, 4], [5, 1, 8, 8], [2, 1, 3, 3], [], [], [], [], [], [], [], []]",
            values(*BACK, "[False, True, True]"),
            5 * 2 * 4 * 4 * 2 * 9,
        ),
        (
            "aten::convolution_backward",
            "[[5, 2, 4, 4], [5, 1, 8, 8], [2, 1, 3, 3], [], [], [], [], [], [], [], []]",
            values(*BACK, "[True, True, False]"),
            2 * 5 * 2 * 4 * 4 * 2 * 9,
        ),
        ("aten::convolution_backward", "[[5, 2, 4, 4], [5, 1, 8, 8], [2, 1, 3, 3]]", "", None),
        # Scores over the size of 8, then values of 6 over the 12 keys.
        (
            "aten::_scaled_dot_product_flash_attention",
            "[[2, 4, 16, 8], [2, 4, 12, 8], [2, 4, 12, 6], [], [], [], []]",
            "",
            2 * (2 * 4 * 16 * 12) * (8 + 6),
        ),
        # Of five products, the scores and the gradients of query and key reduce to 8.
        (
            "aten::_scaled_dot_product_flash_attention_backward",
            "[[2, 4, 16, 6], [2, 4, 16, 8], [2, 4, 12, 8], [2, 4, 12, 6], [2, 4, 16, 6]]",
            "",
            2 * (2 * 4 * 16 * 12) * (3 * 8 + 2 * 6),
        ),
        ("aten::_scaled_dot_product_flash_attention", "[[16, 8], [12, 8], [12, 8]]", "", None),
        ("aten::_scaled_dot_product_flash_attention", "[[1, 16, 8], [1, 12, 7], []]", "", None),
        (
            "aten::convolution",
            "[[5, 1, 8, 8], [2, 1, 3, 3]]",
            values("", "", "", "[0, 0]", *CONV[4:]),
            None,
        ),
    ],
)
def test_flops(name: str, shapes: str, given: str, expected: int | None) -> None:
    assert of_operator(name, shapes, given) == expected


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ('["float", "float"]', "float32"),
        ('["", "Scalar", "c10::Half"]', "float16"),
        ('["c10::BFloat16", "float"]', "bfloat16"),
        ('["c10::Float8_e4m3fn", "c10::Float8_e4m3fn"]', "float8"),
        ('["c10::complex<float>"]', ""),
        ("[]", ""),
        ("[" * 100_000, ""),
        ("", ""),
    ],
)
def test_dtype(types: str, expected: str) -> None:
    assert dtype_of(types) == expected


def test_by_operator_phase_and_dtype() -> None:
    shapes, half, full = "[[2, 3], [3, 4]]", '["c10::Half", "c10::Half"]', '["float", "float"]'
    track = Track(
        1, ["aten::mm"] * 5, [0, 10, 20, 30, 40], [5] * 5, bytearray(5),
        shapes=[shapes, shapes, shapes, "", shapes], types=[half, half, full, half, ""],
        phases=["", "", "", "", "backward"],
    )  # fmt: skip
    found = flops([Nest(track)], Segments([(0, 15, "forward")], "other"))
    assert found == [
        FlopFigures("aten::mm", "forward", "float16", 96),
        FlopFigures("aten::mm", "other", "float32", 48),
        FlopFigures("aten::mm", "backward", "", 48),
    ]


def test_shapes_that_no_machine_holds_are_damage() -> None:
    shapes = f"[[{1 << 31}, {1 << 29}], [{1 << 29}, 2]]"
    assert of_operator("aten::mm", shapes) == 1 << 62
    track = Track(1, ["aten::mm"] * 2, [0, 10], [5, 5], bytearray(2), shapes=[shapes, shapes])
    assert flops([Nest(track)], Segments([], "other")) == []
