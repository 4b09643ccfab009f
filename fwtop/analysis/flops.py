"""Floating point operations of operators whose input shapes tell them.

Formulas of torch (`torch/csrc/profiler/util.cpp`, `computeFlops`): a multiply and an add count two.
Only operators that do the work themselves are here, so that sums do not count it twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod

import msgspec

from fwtop.analysis.nesting import Nest
from fwtop.analysis.phases import Segments

_Shapes = list[list[int]]
_MOST = 1 << 62
"""More than any one operator does: such shapes are damage."""


def flops(nests: Sequence[Nest], segments: Segments) -> dict[tuple[str, str], int]:
    """By (phase, name); an operator whose shapes are not in the trace, or not known, is absent."""
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for nest in nests:
        track = nest.track
        if track.shapes is None:
            continue
        for i, shapes in enumerate(track.shapes):
            if shapes and track.names[i] in _FORMULAS:
                values = track.values[i] if track.values else ""
                count = of_operator(track.names[i], shapes, values)
                if count is not None:
                    sums[segments.at(track.start_ns[i]), track.names[i]] += count
    return sums


@lru_cache(maxsize=4_096)
def of_operator(name: str, shapes: str, values: str = "") -> int | None:
    """Of one call with these input shapes (`[[32, 64], [64, 8]]`) and values; None if unknown."""
    try:
        count = _FORMULAS[name](
            msgspec.json.decode(shapes, type=_Shapes),
            msgspec.json.decode(values, type=list[str]) if values else [],
        )
    except (KeyError, IndexError, ValueError, ArithmeticError, RecursionError):
        return None
    return count if 0 <= count <= _MOST else None


def _product_at(first: int) -> Callable[[_Shapes, list[str]], int]:
    """Matrices (or batches of them) `first` and the next input, multiplied: 2 b m k n."""

    def count(shapes: _Shapes, _: list[str]) -> int:
        left, right = shapes[first], shapes[first + 1]
        if left[-1] != right[-2]:
            raise ValueError("the shapes are of no product")
        return 2 * prod(left) * right[-1]

    return count


def _convolution(shapes: _Shapes, values: list[str]) -> int:
    """2 x output elements x weights an output element has; transposed ones are not known."""
    image, weight = shapes[0], shapes[1]
    stride, padding, dilation = (
        msgspec.json.decode(value, type=list[int]) for value in values[3:6]
    )
    if values[6].lower() != "false":
        raise ValueError("a transposed convolution")
    outputs = [image[0], weight[0]]
    for axis, size in enumerate(image[2:]):
        reach = dilation[axis] * (weight[2 + axis] - 1)
        outputs.append((size + 2 * padding[axis] - reach - 1) // stride[axis] + 1)
    return 2 * prod(outputs) * prod(weight[1:])


_FORMULAS: Mapping[str, Callable[[_Shapes, list[str]], int]] = {
    "aten::mm": _product_at(0),
    "aten::bmm": _product_at(0),
    "aten::addmm": _product_at(1),
    "aten::baddbmm": _product_at(1),
    "aten::convolution": _convolution,
}
