"""Runs operators forward and backward under torch's profiler and under torch's own flop counter.

python counted_flops.py FOLDER DTYPE     writes FOLDER/trace.json and FOLDER/told.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode


def work(dtype: torch.dtype, attention: bool) -> None:
    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=dtype, requires_grad=True)

    image = functional.conv2d(random(4, 3, 32, 32), random(8, 3, 3, 3), stride=2, padding=1)
    results = [
        functional.conv_transpose2d(image, random(8, 6, 3, 3), stride=2),
        functional.conv2d(
            torch.randn(2, 3, 9, 9, dtype=dtype), random(4, 3, 3, 3)
        ),  # of no gradient
        functional.linear(random(5, 64), random(32, 64), random(32)),
        functional.linear(random(5, 7, 64), random(32, 64)),
        torch.bmm(random(3, 4, 5), random(3, 5, 6)),
        torch.baddbmm(random(3, 4, 6), random(3, 4, 5), random(3, 5, 6)),
        torch.einsum("bij,bjk->bik", random(3, 4, 5), random(3, 5, 6)),
    ]
    if attention:
        query, key, value = random(2, 4, 16, 8), random(2, 4, 12, 8), random(2, 4, 12, 8)
        results.append(functional.scaled_dot_product_attention(query, key, value))
    sum(result.float().sum() for result in results).backward()


def main(folder: Path, dtype: torch.dtype) -> None:
    torch.set_num_threads(1)
    with FlopCounterMode(display=False) as counted:
        work(dtype, attention=False)
    # torch's counter does not know the CPU's fused attention, but the products that it is made of.
    with FlopCounterMode(display=False) as products, sdpa_kernel(SDPBackend.MATH):
        query, key, value = (torch.randn(2, 4, length, 8) for length in (16, 12, 12))
        functional.scaled_dot_product_attention(query, key, value)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        work(dtype, attention=True)
    profiler.export_chrome_trace(str(folder / "trace.json"))
    told = {"counted": counted.get_total_flops(), "attention": products.get_total_flops()}
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), getattr(torch, sys.argv[2]))
