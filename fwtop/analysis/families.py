"""Which family an operator or kernel belongs to, by its name, whatever the framework.

A family says what kind of work it is, so that PyTorch's `aten::addmm`, TensorFlow's `MatMul` and a
cutlass kernel can be laid side by side. Tables, tried in order: whole-name patterns for what names
itself by convention (kernels, generated code), then single words of the name.
"""

from __future__ import annotations

import re
from functools import lru_cache

FAMILIES = (
    "matmul",
    "convolution",
    "attention",
    "normalization",
    "elementwise",
    "reduction",
    "embedding",
    "optimizer",
    "collective",
    "memcpy",
    "data",
    "other",
)

_PATTERNS = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        # Copies and communication name themselves.
        (r"^(Memcpy|Memset|cu(da)?Mem(cpy|set)|hipMem(cpy|set))|^MEMCPY", "memcpy"),
        (r"^(cu(da)?|hip)[A-Z]\w*$|^INVALID$", "other"),  # the rest of the runtime's calls
        (r"(?i)nccl|rccl|hccl|\bc10d\w*::|gloo:|mscclpp?", "collective"),
        (
            r"(?i)all[_-]?reduce|all[_-]?gather|reduce[_-]?scatter|all[_-]?to[_-]?all|all2all"
            r"|collective[_-]?(permute|reduce|gather|bcast)|DistributedDataParallel",
            "collective",
        ),
        # Inductor: the names of generated kernels list what was fused, so their kind comes first.
        (r"triton_(red|per)_fused.*(norm|softmax)", "normalization"),
        (r"triton_(red|per)_", "reduction"),
        (r"triton_poi_", "elementwise"),
        (r"triton_(tem|mm)_.*conv", "convolution"),
        (r"triton_(tem|mm)_.*(attention|flex)", "attention"),
        (r"triton_(tem|mm)_", "matmul"),
        (r"cpp_fused.*(layer_norm|batch_norm|group_norm|softmax)", "normalization"),
        (r"cpp_fused.*_(sum|mean|prod|amax|amin|argmax|nll_loss|var)(_|$)", "reduction"),
        (r"cpp_fused", "elementwise"),
        # What belongs to the optimizer or to the input pipeline as a whole.
        (
            r"^Optimizer\.|_fused_(adamw?|sgd|adagrad)|_foreach_|multi_tensor_apply|FusedOptimizer"
            r"|multi_tensor_(adam|sgd|lamb)|(Resource|Sparse)?Apply(Adam|Gradient|Momentum|RMS|Ada|"
            r"Ftrl|Proximal|Centered|Keras)",
            "optimizer",
        ),
        (
            r"DataLoader|^Iterator(::|GetNext|V2)|Iterator\w*GetNext|Dataset|ParseExample"
            r"|Decode(Jpeg|Png|Image|Raw|AndCrop)|pin_memory|[Ii]nfeed|tf_data",
            "data",
        ),
        # Losses before the softmax in their names.
        (
            r"(?i)cross_?entropy|nll_?(loss|criterion)|mse_?loss|l1_?loss|ctc_?loss|kl_?div|bce",
            "reduction",
        ),
        (
            r"(?i)scaled_?dot_?product|attention|flash_(fwd|bwd|attn)|\bflash::|fmha"
            r"|mha_(fwd|bwd|varlen)|pytorch_flash",
            "attention",
        ),
        (
            r"(?i)conv(olution|[123]d|_depthwise|_transpose|_backward|_tbc|olve|olutional)"
            r"|DepthwiseConv|[sh]cudnn|fprop|(?-i:[dw]grad|[DW]grad)|winograd|implicit_(con|gemm)"
            r"|cask_cudnn|cudnn_?conv|im2col|col2im|\bconv\b|nchwToNhwc|nhwcToNchw",
            "convolution",
        ),
        (
            r"(?i)(batch|layer|group|instance|rms|weight|spectral)_?norm|\bbn_(fw|bw)"
            r"|softmax|local_?response_?norm|RowwiseMoments|GammaBeta",
            "normalization",
        ),
        (r"(?i)embedding|indexSelect|index_select|ResourceGather|compute_grad_weight", "embedding"),
        (r"sum_and_scatter|krn_partial|SplitLookup|SparseSegment|^GatherV2|^Gather$", "embedding"),
        (
            r"(?i)gemm|gemv|cutlass|cublas|(?<!bi)(?<!tri)linear(?!space)\b|matmul|einsum|splitK"
            r"|\b(aten::)?_?(addmm|addbmm|baddbmm|bmm|mm|mv|addmv|dot|vdot|scaled_mm|int_mm)_?\b"
            r"|(Addmm|Addbmm|Baddbmm|Bmm|Mm|Mv|Dot|Linear)Backward|dot_kernel|dot_general",
            "matmul",
        ),
        (r"reduce_kernel|reduce_\d+d|\b[Rr]educe(Op|_window|-window)?\b|Reduce[A-Z]", "reduction"),
        (r"(?i)(max|avg|average)_?pool|cum(sum|prod)|BiasAddGrad|scan_(dim|by_key)", "reduction"),
        (r"CatArrayBatchedCopy|concat_", "memcpy"),
        (
            r"(?i)scalePackedTensor|elementwise|vectorized|unrolled|pointwise|fused_dropout",
            "elementwise",
        ),
        (r"^(loop_|input_)?fusion|_fusion(\.|$)|^fused_", "elementwise"),
    )
)

_WORDS = {
    word: family
    for family, words in (
        ("memcpy", "copy copies clone contiguous cat concat stack memcpy memset dtod htod dtoh"),
        (
            "reduction",
            "sum mean max min amax amin aminmax argmax argmin prod norm logsumexp var std median"
            " all any count nonzero trace reduce",
        ),
        (
            "elementwise",
            "add sub rsub mul div addcmul addcdiv addn lerp pow sqrt rsqrt exp expm1 log log1p neg"
            " abs sign relu relu6 leaky gelu silu elu selu swish mish hardtanh hardswish"
            " hardsigmoid sigmoid tanh sin cos erf clamp clip where masked fill zero dropout"
            " bernoulli normal uniform random eq ne lt le gt ge logical bitwise reciprocal round"
            " floor ceil square squared threshold prelu glu softplus cast convert maximum minimum"
            " fma bias realdiv fused ones zeros full select multiply subtract divide isfinite"
            " isnan nan greater less equal tanhgrad relugrad",
        ),
        ("collective", "allreduce broadcasted"),
    )
    for word in words.split()
}
_OPTIMIZED_OUT = re.compile(
    r"^(aten::)?(empty\w*|view\w*|reshape\w*|_?unsafe_view|as_strided\w*|select(_backward)?|t|"
    r"transpose|permute|expand\w*|slice\w*|squeeze|unsqueeze|detach\w*|alias|narrow|split\w*|"
    r"chunk|unbind|item|_local_scalar_dense|resize\w*|result_type|is_\w+|set_|_reshape_alias)_?$"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*")
_USER_RANGE = re.compile(r"(?!Mem(cpy|set)\b|void |EagerLocalExecute)[^(<]*\s")
"""Words between spaces are a person's own name of a range, and say nothing sure of its work."""
_AUTOGRAD = "autograd::engine::evaluate_function: "
_LONGEST = 2_000


@lru_cache(maxsize=16_384)
def family(name: str) -> str:
    """The family of an operator's or kernel's name, one of FAMILIES; `other` where none fits.

    The gradient of an operator is of the operator's own family.
    """
    name = name[:_LONGEST].removeprefix(_AUTOGRAD)
    if _USER_RANGE.match(name):
        return "other"
    for pattern, found in _PATTERNS:
        if pattern.search(name):
            return found
    if _OPTIMIZED_OUT.match(name):
        return "other"
    if name.startswith(("aten::to", "aten::_to_copy", "ToCopyBackward")):
        return "memcpy"
    head = name.partition("<")[0].partition("(")[0]
    for word in _WORD.findall(head):
        if found_family := _WORDS.get(word.lower()):
            return found_family
    return "other"
