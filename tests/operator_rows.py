"""The operators and kernels of a synthetic window: a ResNet's, on a GPU or without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.device_rows import KERNEL_USE, STEP_FLOPS, TERA
from tests.recording_spec import Rows


@dataclass(frozen=True)
class Operator:
    name: str
    family: str
    phase: str
    calls: int
    cpu_share: float
    gpu_share: float


OPERATORS = (
    Operator("aten::cudnn_convolution", "convolution", "forward", 53, 0.06, 0.19),
    Operator("aten::convolution_backward", "convolution", "backward", 53, 0.08, 0.33),
    Operator("aten::cudnn_batch_norm", "normalization", "forward", 53, 0.04, 0.06),
    Operator("aten::cudnn_batch_norm_backward", "normalization", "backward", 53, 0.05, 0.09),
    Operator("aten::relu_", "elementwise", "forward", 49, 0.02, 0.03),
    Operator("aten::threshold_backward", "elementwise", "backward", 49, 0.02, 0.04),
    Operator("aten::add_", "elementwise", "forward", 16, 0.01, 0.02),
    Operator("aten::max_pool2d_with_indices", "other", "forward", 1, 0.001, 0.01),
    Operator("aten::mean", "reduction", "forward", 1, 0.001, 0.004),
    Operator("aten::addmm", "matmul", "forward", 1, 0.002, 0.01),
    Operator("aten::mm", "matmul", "backward", 2, 0.003, 0.02),
    Operator("aten::_log_softmax", "reduction", "forward", 1, 0.001, 0.002),
    Operator("aten::_foreach_add_", "optimizer", "optimizer", 6, 0.02, 0.05),
    Operator("aten::_foreach_mul_", "optimizer", "optimizer", 3, 0.01, 0.03),
    Operator("aten::copy_", "memcpy", "h2d", 2, 0.003, 0.02),
    Operator("aten::collate", "data", "input", 1, 0.01, 0.0),
    Operator("aten::item", "memcpy", "other", 1, 0.02, 0.001),
)
_KERNELS = {
    "convolution": "sm80_xmma_fprop_implicit_gemm_f16f16_f16f32_f32_nhwckrsc_nhwc_tilesize128x128",
    "normalization": "void cudnn::bn_fw_tr_1C11_singleread<float, 512, true, 1, 2, 0>",
    "elementwise": "void at::native::vectorized_elementwise_kernel<4, at::native::relu>",
    "matmul": "ampere_sgemm_128x64_tn",
    "reduction": "void at::native::reduce_kernel<512, 1, at::native::MeanOps<float>>",
    "optimizer": "void at::native::multi_tensor_apply_kernel<TensorListMetadata<3>>",
    "memcpy": "Memcpy HtoD (Pinned -> Device)",
}


class OperatorRows(Rows):
    """What a window found of its operators."""

    def _breakdown(self, span_ns: int) -> dict[str, int]:
        if not self.spec.gpus:
            return {}
        host_wait = int(span_ns * self.spec.host_wait_share)
        kernel_wait = int(span_ns * 0.01)
        return {
            "span_ns": span_ns,
            "busy_ns": span_ns - host_wait - kernel_wait,
            "compute_ns": int((span_ns - host_wait - kernel_wait) * 0.97),
            "host_wait_ns": host_wait,
            "kernel_wait_ns": kernel_wait,
            "other_wait_ns": 0,
        }

    def _add_operator(self, window_id: int, operator: Operator, deep: bool) -> int:
        """Returns its time on the device."""
        operator_id = self._name_id(operator.name, operator.family)
        noise = self._random.lognormvariate(0, 0.05)
        device_ns = int(self.spec.step_ns * operator.gpu_share * noise)
        host_ns = int(self.spec.step_ns * operator.cpu_share * noise)
        if not self.spec.gpus:
            host_ns += device_ns
        stats = {"window_id": window_id, "operator_id": operator_id, "phase": operator.phase}
        self.insert(
            "operator_stats", **stats, device="cpu", calls=operator.calls, self_ns=host_ns,
            total_ns=host_ns * 5 // 4,
        )  # fmt: skip
        if self.spec.gpus and device_ns:
            self.insert(
                "operator_stats", **stats, device="gpu", calls=operator.calls, self_ns=device_ns,
                total_ns=device_ns,
            )  # fmt: skip
            kernel_id = self._name_id(
                _KERNELS.get(operator.family, operator.family), operator.family
            )
            self._db.execute(
                "INSERT INTO kernel_stats VALUES (?1, ?2, 7, ?3, ?4) ON CONFLICT DO UPDATE"
                " SET calls = calls + ?3, total_ns = total_ns + ?4",
                (window_id, kernel_id, operator.calls, device_ns),
            )
            if operator.family in KERNEL_USE:
                busy, occupied = KERNEL_USE[operator.family]
                self._db.execute(
                    "INSERT INTO kernel_efficiency VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO"
                    " UPDATE SET measured_ns = measured_ns + ?3, sm_busy_ns = sm_busy_ns + ?4,"
                    " occupied_ns = occupied_ns + ?5",
                    (window_id, kernel_id, device_ns, busy * device_ns, occupied * device_ns),
                )
        if deep:
            if operator.name in STEP_FLOPS:
                self._add_flops(window_id, operator, host_ns, device_ns)
            for kind, value in (
                ("shape", "[64, 256, 56, 56]"),
                ("module", "layer1.0.conv1"),
                ("source", "train.py:42 forward"),
            ):
                self.insert(
                    "operator_details", window_id=window_id, operator_id=operator_id, kind=kind,
                    value=value, calls=operator.calls, self_ns=host_ns, total_ns=host_ns * 5 // 4,
                )  # fmt: skip

        return device_ns

    def _add_flops(self, window_id: int, operator: Operator, host_ns: int, device_ns: int) -> None:
        """On the operator that has the shapes, which may be one around it."""
        name, tera = STEP_FLOPS[operator.name]
        of: dict[str, Any] = {
            "window_id": window_id,
            "operator_id": self._name_id(name, operator.family),
            "phase": operator.phase,
        }
        flops = int(tera * TERA)
        for device, time_ns in (("cpu", host_ns * 5 // 4), ("gpu", device_ns)):
            if device == "cpu" or self.spec.gpus:
                self._db.execute(
                    "INSERT INTO operator_stats (window_id, operator_id, phase, device, calls,"
                    " self_ns, total_ns, flops) VALUES (?, ?, ?, ?, ?, 0, ?, ?)"
                    " ON CONFLICT DO UPDATE SET flops = excluded.flops",
                    (*of.values(), device, operator.calls, time_ns,
                     flops if device == "cpu" else None),
                )  # fmt: skip
        self.insert("operator_flops", **of, dtype="float16", flops=flops)

    def _name_id(self, name: str, family: str) -> int:
        self._db.execute(
            "INSERT INTO operator_names (name, family) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (name, family),
        )
        row = self._db.execute("SELECT id FROM operator_names WHERE name = ?", (name,)).fetchone()
        return int(row[0])
