"""Floating point operations of operators whose input shapes tell them, by the inputs' dtype.

Formulas of torch (`torch/utils/flop_counter.py`; `torch/csrc/profiler/util.cpp`, `computeFlops`):
a multiply and an add count two, attention counts its products alone (a backward of attention five:
it computes the scores again), and masks do not make it less. A convolution's backward counts a
forward for each gradient that was asked for. Only operators that do the work themselves are here,
so that sums do not count it twice.
Not told by shapes, and so not counted: what a compiler generated (Triton), recurrent layers of
cuDNN, attention over sequences of unequal length, elementwise work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod

import msgspec

from fwtop.analysis.nesting import Nest
from fwtop.analysis.phases import Segments
from fwtop.analysis.results import FlopFigures

DTYPES = ("float64", "float32", "bfloat16", "float16", "float8", "int8")
"""Of inputs, named as in `fwtop.devices.peaks`."""

_Shapes = list[list[int]]
_MOST = 1 << 62
"""More than any one operator does: such shapes are damage."""
_DTYPE_OF = {
    "double": "float64",
    "float": "float32",
    "c10::BFloat16": "bfloat16",
    "c10::Half": "float16",
    "signed char": "int8",
}
"""By the name that torch's profiler writes."""


def flops(nests: Sequence[Nest], segments: Segments) -> list[FlopFigures]:
    """By operator, phase and dtype; one whose shapes are not in the trace, or not known, is absent.

    A sum that passes what a recording can hold comes from damage and is absent too.
    """
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for nest in nests:
        track = nest.track
        if track.shapes is None:
            continue
        for i, shapes in enumerate(track.shapes):
            name = track.names[i]
            if shapes and name in _FORMULAS:
                count = of_operator(name, shapes, track.values[i] if track.values else "")
                if count is not None:
                    own_phase = track.phases[i] if track.phases else ""
                    phase = own_phase or segments.at(track.start_ns[i])
                    dtype = dtype_of(track.types[i]) if track.types else ""
                    sums[name, phase, dtype] += count
    return [FlopFigures(*key, count) for key, count in sums.items() if count < 2 * _MOST]


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


@lru_cache(maxsize=1_024)
def dtype_of(types: str) -> str:
    """The dtype of the first tensor among an operator's inputs (`["float", "Scalar"]`), one of
    DTYPES; "" for another, or where it is not told.
    """
    try:
        names = msgspec.json.decode(types, type=list[str])
    except (ValueError, RecursionError):
        return ""
    first = next((name for name in names if name and not name.startswith("Scalar")), "")
    return "float8" if first.startswith("c10::Float8") else _DTYPE_OF.get(first, "")


def _product_at(first: int) -> Callable[[_Shapes, list[str]], int]:
    """Matrices (or batches of them) `first` and the next input, multiplied: 2 b m k n."""

    def count(shapes: _Shapes, _: list[str]) -> int:
        left, right = shapes[first], shapes[first + 1]
        if left[-1] != right[-2]:
            raise ValueError("the shapes are of no product")
        return 2 * prod(left) * right[-1]

    return count


def _convolution(shapes: _Shapes, values: list[str]) -> int:
    """2 x batch x places x weights: places of the output, or of the input of a transposed one."""
    image, weight = shapes[0], shapes[1]
    if values[6].lower() == "true":
        return 2 * image[0] * prod(image[2:]) * prod(weight)
    stride, padding, dilation = (
        msgspec.json.decode(value, type=list[int]) for value in values[3:6]
    )
    places = 1
    for axis, size in enumerate(image[2:]):
        reach = dilation[axis] * (weight[2 + axis] - 1)
        places *= (size + 2 * padding[axis] - reach - 1) // stride[axis] + 1
    return 2 * image[0] * places * prod(weight)


def _convolution_backward(shapes: _Shapes, values: list[str]) -> int:
    """A forward's for each of the gradients of input and weight that `output_mask` asks for."""
    gradient, image, weight = shapes[:3]
    places = image if values[7].lower() == "true" else gradient
    mask = [word.strip().lower() == "true" for word in values[10].strip("[]").split(",")]
    return 2 * places[0] * prod(places[2:]) * prod(weight) * (mask[0] + mask[1])


def _attention_at(first: int, products: int) -> Callable[[_Shapes, list[str]], int]:
    """Query, key and value from input `first` on, each [..., length, size]: half of the products
    reduce over the query's size, half over the value's (of five, three over the query's).
    """

    def count(shapes: _Shapes, _: list[str]) -> int:
        query, key, value = shapes[first : first + 3]
        if query[-1] != key[-1] or key[-2] != value[-2] or len(query) < 3:
            raise ValueError("the shapes are of no attention")
        scores = prod(query[:-1]) * key[-2]
        return 2 * scores * ((products + 1) // 2 * query[-1] + products // 2 * value[-1])

    return count


_FORMULAS: Mapping[str, Callable[[_Shapes, list[str]], int]] = {
    **dict.fromkeys(("aten::mm", "aten::bmm", "aten::_int_mm", "aten::_scaled_mm"), _product_at(0)),
    **dict.fromkeys(("aten::addmm", "aten::baddbmm", "aten::_addmm_activation"), _product_at(1)),
    "aten::convolution": _convolution,
    "aten::convolution_backward": _convolution_backward,
    **dict.fromkeys(
        (
            "aten::_scaled_dot_product_flash_attention",
            "aten::_scaled_dot_product_efficient_attention",
            "aten::_scaled_dot_product_cudnn_attention",
            "aten::_scaled_dot_product_flash_attention_for_cpu",
        ),
        _attention_at(0, 2),
    ),
    **dict.fromkeys(
        (
            "aten::_scaled_dot_product_flash_attention_backward",
            "aten::_scaled_dot_product_efficient_attention_backward",
            "aten::_scaled_dot_product_cudnn_attention_backward",
            "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
        ),
        _attention_at(1, 5),
    ),
}
