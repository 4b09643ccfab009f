"""Which kernels run on tensor cores (AMD: matrix cores), by their names.

Source: the PyTorch profiler's TensorBoard plugin (`tensor_core.py`; BSD), which takes its list from
NVIDIA's PyProf (`prof/tc.py`). That list ends with Ampere; `_SINCE` adds what libraries have named
their tensor core kernels since, and `ffma` in a name is the plain cores' multiply-add whatever else
stands there. A generated kernel (Triton) does not tell: it counts as none.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TENSORBOARD = (
    "h884", "s884", "h1688", "s1688", "hmma", "i8816", "16816", "dgrad_1x1_stride_2x2",
    "first_layer_wgrad_kernel", "conv1x1", "conv2d_c1_k1", "direct_group", "xmma_implicit_gemm",
    "xmma_sparse_conv", "xmma_warp_specialized_implicit_gemm", "xmma_gemm", "xmma_sparse_gemm",
    "c1688",
)  # fmt: skip
_SINCE = (
    "tensorop",  # CUTLASS
    "wgmma", "gmma_", "tcgen05", "umma",  # Hopper's and Blackwell's instructions
    "nvjet_",  # cuBLAS since CUDA 12.6
    "flash_fwd", "flash_bwd", "fmha_v2", "fmha_cutlassF_f16", "fmha_cutlassF_bf16",
    "fmha_cutlassB_f16", "fmha_cutlassB_bf16",
    "xmma_fprop_implicit_gemm", "xmma_dgrad_implicit_gemm", "xmma_wgrad_implicit_gemm",  # cuDNN 8
)  # fmt: skip
_MATRIX_CORES = re.compile(r"Cijk_\w*_MI\d")
"""AMD's Tensile: `MI16x16x16x1` names the matrix instruction."""
_TF32 = re.compile(r"tf32|tensorop_s1688(?!\w*f16)")


@lru_cache(maxsize=4_096)
def uses_tensor_cores(kernel: str) -> bool:
    """Whether a kernel's name says that it computes on tensor cores."""
    names = (*_TENSORBOARD, *_SINCE)
    if "ffma" in kernel:
        return False
    return any(name in kernel for name in names) or _MATRIX_CORES.search(kernel) is not None


@lru_cache(maxsize=4_096)
def uses_tf32(kernel: str) -> bool:
    """Whether a kernel's name says that it multiplies float32 as TF32 (on tensor cores)."""
    return _TF32.search(kernel) is not None
