from __future__ import annotations

import pytest

from fwtop.analysis.flops import of_operator

CONV = ["[]", "", "", "[2, 2]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"]


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
        ("aten::convolution", "[[5, 1, 8, 8], [2, 1, 3, 3]]", values(*CONV[:6], "True"), None),
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
