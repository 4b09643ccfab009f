from __future__ import annotations

import pytest

from fwtop.analysis.families import FAMILIES, family
from fwtop.traces.kineto import read
from tests.shared_traces import DIFF_CONTROL, DIFF_TEST, NCCL, RESNET50, shared_trace

KERNEL = "void at::native::"
NAMES = {
    "matmul": [
        "aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear", "aten::matmul",
        "aten::mv", "aten::dot", "aten::_scaled_mm", "AddmmBackward0", "MmBackward0",
        "BmmBackward0",
        "autograd::engine::evaluate_function: AddmmBackward0", "ampere_sgemm_128x64_nn",
        "volta_sgemm_128x64_nn", "sm80_xmma_gemm_f32f32_f32f32_f32_tn_n_tilesize64x64x8",
        "void cutlass::Kernel<cutlass_80_tensorop_s1688gemm_64x64_16x6_nn_align4>(cutlass::Params)",
        "void gemv2T_kernel_val<int, int, float, float, float, float, 128, 16, 4, 4, false>(float)",
        "triton_tem_fused_mm_12", "MatMul", "BatchMatMulV2", "Einsum", "dot.3", "dot_general.1",
        "void cublasLt::splitKreduce_kernel<32, 16, int, float>(cublasLt::cublasSplitKParams)",
        "mkl::sgemm", "onednn_linear", "_FusedMatMul",
    ],
    "convolution": [
        "aten::conv2d", "aten::convolution", "aten::_convolution", "aten::mkldnn_convolution",
        "aten::cudnn_convolution_backward_weight", "ConvolutionBackward0", "aten::conv1d",
        "volta_scudnn_128x64_relu_interior_nn_v1", "Conv2D", "Conv2DBackpropFilter",
        "DepthwiseConv2dNative", "convolution.5", "cask_cudnn::computeOffsetsKernel(Params)",
        "void implicit_convolve_sgemm<float, float, 128, 5, 5, 3, 3, 3, 1, true>(int, int)",
        "sm80_xmma_fprop_implicit_gemm_tf32f32_tf32f32_f32_nhwckrsc_nchw_tilesize128x64x16",
        "void cudnn::winograd_nonfused::winogradForwardData4x4<float, float>(float)",
        "aten::slow_conv2d_forward", "aten::thnn_conv2d",
    ],
    "attention": [
        "aten::scaled_dot_product_attention", "aten::_scaled_dot_product_flash_attention",
        "ScaledDotProductEfficientAttentionBackward0", "aten::_flash_attention_forward",
        "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128, 4>>(Params)",
        "void flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel<64>(flash::Params)",
        "fmha_cutlassF_f32_aligned_64x64_rf_sm80(PyTorchMemEffAttention::AttentionKernel)",
        "aten::_efficient_attention_forward", "triton_tem_fused_flex_attention_3",
        "aten::multi_head_attention", "MultiHeadAttention",
    ],
    "normalization": [
        "aten::layer_norm", "aten::native_layer_norm", "aten::batch_norm", "aten::group_norm",
        "NativeLayerNormBackward0", "CudnnBatchNormBackward0", "aten::_log_softmax",
        "SoftmaxBackward0", "void cudnn::bn_bw_1C11_kernel_new<float, float>(float)",
        "FusedBatchNormV3", "FusedBatchNormGradV3", "Softmax",
        "triton_per_fused_native_layer_norm_0",
        "triton_red_fused__softmax_4", "graph_0_cpp_fused_native_layer_norm_2", "aten::rms_norm",
        "void (anonymous namespace)::softmax_warp_forward<float, float, float, 10, true>(float*)",
    ],
    "elementwise": [
        "aten::add", "aten::add_", "aten::mul", "aten::div_", "aten::relu", "aten::gelu",
        "aten::sigmoid", "aten::where", "aten::dropout", "aten::zero_", "aten::fill_", "aten::sqrt",
        "AddBackward0", "MulBackward0", "ReluBackward0", "GeluBackward0", "aten::addcdiv_",
        KERNEL + "vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>(int)",
        KERNEL + "elementwise_kernel<128, 2, at::native::gpu_kernel_impl<x>>(int)",
        KERNEL + "unrolled_elementwise_kernel<at::native::direct_copy_kernel_cuda>(int)",
        "triton_poi_fused_convolution_relu_0", "triton_poi_fused_add_mul_1", "cpp_fused_add_mul_3",
        "graph_1_cpp_fused_gelu_0", "BiasAdd", "AddV2", "Mul", "Relu", "ReluGrad", "AddN", "Cast",
        "loop_fusion.2", "fusion.17", "Tanh", "RealDiv", "Sub",
    ],
    "reduction": [
        "aten::sum", "aten::mean", "aten::max", "aten::argmax", "aten::cumsum", "SumBackward0",
        "MeanBackward1", "aten::max_pool2d", "aten::cross_entropy_loss", "aten::nll_loss_forward",
        "aten::norm", "aten::linalg_vector_norm", "aten::avg_pool2d",
        KERNEL + "reduce_kernel<512, 1, at::native::ReduceOp<float, sum_functor>>(ReduceOp)",
        "triton_red_fused_sum_2", "triton_per_fused_mean_1", "cpp_fused_sum_4", "Sum", "Mean",
        "MaxPool", "BiasAddGrad", "ArgMax", "reduce.5", "SparseSoftmaxCrossEntropyWithLogits",
    ],
    "embedding": [
        "aten::embedding", "aten::embedding_dense_backward", "EmbeddingBackward0", "GatherV2",
        "ResourceGather", "aten::embedding_bag", "aten::index_select",
        KERNEL + "(anonymous namespace)::indexSelectLargeIndex<float, int, unsigned int>(int)",
    ],
    "optimizer": [
        "Optimizer.step#Adam.step", "Optimizer.zero_grad#SGD.zero_grad", "aten::_fused_adam_",
        "aten::_foreach_addcdiv_",
        KERNEL + "(anonymous namespace)::multi_tensor_apply_kernel<4>(int)",
        "ResourceApplyAdam", "ResourceApplyGradientDescent", "ApplyMomentum",
    ],
    "collective": [
        "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevComm*)", "nccl:all_reduce",
        "ncclKernel_AllReduce_RING_LL_Sum_float(ncclDevComm*)", "c10d::allreduce_",
        "gloo:broadcast",
        "rcclKernel", "CollectiveReduceV2", "all-reduce.1", "DistributedDataParallel.forward",
        "all_gather_into_tensor", "NcclAllReduce",
        "autograd::engine::evaluate_function: All2All_Pooled",
    ],
    "memcpy": [
        "Memcpy HtoD (Pinned -> Device)", "Memset (Device)", "aten::copy_", "aten::to",
        "aten::_to_copy", "aten::contiguous", "aten::clone", "cudaMemcpyAsync", "cudaMemsetAsync",
        "hipMemcpyAsync", "CloneBackward0", "ToCopyBackward0", "aten::cat", "MEMCPYHtoD",
        "ConcatV2",
    ],
    "data": [
        "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", "aten::pin_memory",
        "IteratorGetNext", "IteratorGetNextOp::DoCompute", "ParseExampleV2", "DecodeJpeg",
        "MapDataset", "Iterator::Prefetch",
    ],
    "other": [
        "aten::empty", "aten::view", "aten::t", "aten::as_strided", "aten::item", "aten::detach",
        "TBackward0", "ViewBackward0", "torch::autograd::AccumulateGrad", "cudaLaunchKernel",
        "cudaDeviceSynchronize", "my sum of things", "## optimizer ##", "", "x" * 100_000, "\x00",
        "aten::reshape", "aten::is_pinned", "record_param_comms", "Identity", "NoOp", "Shape",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"), [(name, of) for of, names in NAMES.items() for name in names]
)
def test_family(name: str, expected: str) -> None:
    assert family(name) == expected


def test_every_family_is_tested() -> None:
    assert set(NAMES) == set(FAMILIES)


@pytest.mark.parametrize("trace", [RESNET50, DIFF_CONTROL, DIFF_TEST, NCCL])
def test_little_device_time_of_real_jobs_is_other(trace: str) -> None:
    events = read(shared_trace(trace)).device_events
    of_other = sum(e.duration_ns for e in events if family(e.name) == "other")
    assert of_other < 0.1 * sum(e.duration_ns for e in events)


def test_copies_and_collectives_of_real_jobs_are_complete() -> None:
    for event in read(shared_trace(DIFF_CONTROL)).device_events:
        if event.kind in ("memcpy", "memset"):
            assert family(event.name) == "memcpy"
        if "nccl" in event.name.lower():
            assert family(event.name) == "collective"
