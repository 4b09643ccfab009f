"""Synthetic recordings for tests, written through the real schema; the same bytes of rows a seed.

`build(path, Spec(...))` makes a finished (or abandoned, or still live) recording at once.
`Builder` makes one bit by bit, for a test in which a viewer watches it grow: rows are committed at
the end of each `add_*` call, as the recorder commits its batches.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fwtop.analysis.sketch import Sketch
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import create_recording
from tests.device_rows import KERNEL_USE, STEP_FLOPS, TERA, add_window_device

MS = 1_000_000
S = 1_000_000_000
GIB = 1 << 30

TRACED, COMPILED, SKIPPED, GAP = 1, 2, 4, 8
"""fwtop_profilers.wire.STEP_*"""


@dataclass(frozen=True)
class Spec:
    """What the run looks like. The default: a ResNet on one of two GPUs, two minutes, healthy."""

    steps: int = 1200
    seed: int = 7
    state: str = "finished"
    """`running` leaves it live, with its WAL; `lost` finished without an exit status."""
    exit_status: int | None = 0
    run_id: str = "20261123-101112-abcd"
    command: tuple[str, ...] = ("train.py", "--lr", "3e-4")
    processes: int = 1
    """Ranks; with one, rank and world size are unknown."""
    gpus: int = 2
    """0: trained on the CPU."""
    step_ns: int = 100 * MS
    input_share: float = 0.05
    """Of the step, besides noise."""
    host_wait_share: float = 0.04
    """Of a window's span on the GPU."""
    utilization: float = 0.93
    compiles: int = 2
    """Whole compiles: the first at step 0, the others spread as recompiles."""
    graph_breaks: int = 1
    windows: int = 6
    samples: int | None = 64
    """Samples a step; None where nothing tells."""
    log: bool = True
    host: bool = True
    messages_dropped: int = 0
    budget_ratio: float = 0.01
    measured_ratio: float | None = 0.007
    throttled: bool = False
    memory_share: float = 0.55
    """Of the GPU's memory, at the end."""
    cores: int = 16
    epoch_steps: int = 500


@dataclass(frozen=True)
class _Operator:
    name: str
    family: str
    phase: str
    calls: int
    cpu_share: float
    gpu_share: float


_OPERATORS = (
    _Operator("aten::cudnn_convolution", "convolution", "forward", 53, 0.06, 0.19),
    _Operator("aten::convolution_backward", "convolution", "backward", 53, 0.08, 0.33),
    _Operator("aten::cudnn_batch_norm", "normalization", "forward", 53, 0.04, 0.06),
    _Operator("aten::cudnn_batch_norm_backward", "normalization", "backward", 53, 0.05, 0.09),
    _Operator("aten::relu_", "elementwise", "forward", 49, 0.02, 0.03),
    _Operator("aten::threshold_backward", "elementwise", "backward", 49, 0.02, 0.04),
    _Operator("aten::add_", "elementwise", "forward", 16, 0.01, 0.02),
    _Operator("aten::max_pool2d_with_indices", "other", "forward", 1, 0.001, 0.01),
    _Operator("aten::mean", "reduction", "forward", 1, 0.001, 0.004),
    _Operator("aten::addmm", "matmul", "forward", 1, 0.002, 0.01),
    _Operator("aten::mm", "matmul", "backward", 2, 0.003, 0.02),
    _Operator("aten::_log_softmax", "reduction", "forward", 1, 0.001, 0.002),
    _Operator("aten::_foreach_add_", "optimizer", "optimizer", 6, 0.02, 0.05),
    _Operator("aten::_foreach_mul_", "optimizer", "optimizer", 3, 0.01, 0.03),
    _Operator("aten::copy_", "memcpy", "h2d", 2, 0.003, 0.02),
    _Operator("aten::collate", "data", "input", 1, 0.01, 0.0),
    _Operator("aten::item", "memcpy", "other", 1, 0.02, 0.001),
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
_COMPILE_PHASES = (
    ("dynamo", 0.25, ()),
    ("aot_autograd", 0.20, ()),
    ("inductor", 0.55, (("code generation", 0.3), ("C++ compile", 0.6))),
)
_PHASE_SHARES = {"h2d": 0.02, "forward": 0.34, "backward": 0.50, "optimizer": 0.09}
_GPU_BYTES = 80 * GIB
_FIRST_STEP_NS = 6 * S


def build(path: Path, spec: Spec | None = None, **changes: Any) -> Path:
    """Write a whole recording and return its path; `changes` are fields of `Spec`."""
    builder = Builder(path, replace(spec or Spec(), **changes))
    builder.add_everything()
    if builder.spec.state in ("finished", "lost"):
        builder.finish()
    else:
        builder.close()
    return path


class Builder:
    """Writes a recording bit by bit; `now_ns` is how far the run has come on its own clock."""

    def __init__(self, path: Path, spec: Spec | None = None) -> None:
        self.path = path
        self.spec = spec or Spec()
        self.now_ns = _FIRST_STEP_NS
        self.next_index = 0
        self._compiling_ns = 0
        self._random = random.Random(self.spec.seed)
        self._next_sample_ns = 0
        self._next_log_ns = 0
        self._db: sqlite3.Connection = create_recording(path)
        self._db.execute("BEGIN")
        self._add_run()
        self._add_processes()
        self._add_devices()
        self._commit()

    def add_everything(self) -> None:
        """All of the spec's steps, with windows and compiles spread over them."""
        spec = self.spec
        every = max(1, spec.steps // (spec.windows + 1))
        again = (
            {spec.steps * n // spec.compiles for n in range(spec.compiles)} if spec.steps else ()
        )
        windows = 0
        while self.next_index < spec.steps:
            if self.next_index in again:
                self.add_compile()
                continue
            following = [index for index in again if index > self.next_index]
            stop = min([spec.steps, *following, (windows + 1) * every])
            self.add_steps(stop - self.next_index)
            if windows < spec.windows and self.next_index == (windows + 1) * every:
                windows += 1
                self.add_window()
            elif stop == (windows + 1) * every:
                windows += 1
        self.add_notice("info", "window_skipped", "The script's own profiler ran; windows waited.")

    def add_steps(self, count: int, flags: int = 0) -> None:
        """`count` steps in every rank, with the readings and output of that time."""
        start_ns = self.now_ns
        first = self.next_index
        ends = []
        for process_id in range(1, self.spec.processes + 1):
            self.now_ns = start_ns
            self.next_index = first
            self._insert_steps(process_id, [self._step(process_id, flags) for _ in range(count)])
            ends.append(self.now_ns)
        self.now_ns = max(ends)
        self._add_readings()
        self._commit()

    def add_compile(self) -> None:
        """A compile with its nested phases within one step; after the first, a recompile."""
        again = self.next_index > 0
        start_ns = self.now_ns
        length_ns = (2 if again else 4) * S
        number = self._db.execute("SELECT count(*) FROM compile_events").fetchone()[0]
        key = f"c{number}"
        where = {"function": "forward", "file": "/home/me/train.py", "line": 42}
        common = {"process_id": 1, "compile_id": f"[{int(again)}/0]", "step_index": self.next_index}
        if again:
            self.insert(
                "compile_events", **common, **where, key=f"{key}-why", kind="recompile",
                name="recompile", start_ns=start_ns, duration_ns=None,
                reason="tensor 'x' size mismatch at index 0. expected 64, actual 48",
            )  # fmt: skip
        else:
            for broken in range(self.spec.graph_breaks):
                self.insert(
                    "compile_events", **common, key=f"{key}-break{broken}", kind="graph_break",
                    name="graph break", start_ns=start_ns + 100 * MS, duration_ns=None,
                    function="forward", file="/home/me/train.py", line=57 + broken,
                    reason="Tensor.item() call: graph break in user code",
                )  # fmt: skip
        self.insert(
            "compile_events", **common, **where, key=key, kind="compile", name="forward",
            start_ns=start_ns, duration_ns=length_ns, detail=json.dumps({"graph_ops": 174}),
        )  # fmt: skip
        self._add_phases(common, key, start_ns, length_ns, _COMPILE_PHASES)
        kind = "cache_miss" if not again else "cache_hit"
        self.insert(
            "compile_events", **common, key=f"{key}-cache", kind=kind, name="fx graph cache",
            start_ns=start_ns + length_ns // 2, duration_ns=None,
        )  # fmt: skip
        self._compiling_ns = length_ns
        self.add_steps(1, flags=COMPILED)
        self._compiling_ns = 0

    def add_window(self, deep: bool = False) -> int:
        """One traced step with its operators and kernels; returns the window's id."""
        start_ns, index = self.now_ns, self.next_index
        self.add_steps(1, flags=TRACED)
        span_ns = self.spec.step_ns
        window_id = self.insert(
            "windows", process_id=1, format="kineto", deep=deep, way="gil released",
            first_step=index, step_count=1, start_ns=start_ns, end_ns=self.now_ns,
            cost_ns=12 * MS, slowdown_ns=3 * MS,
            counted=self._db.execute("SELECT count(*) > 0 FROM windows").fetchone()[0],
            event_count=3675, raw_bytes=1_400_000, state="decoded", **self._breakdown(span_ns),
        )  # fmt: skip
        kernels: dict[str, int] = {}
        for operator in _OPERATORS:
            device_ns = self._add_operator(window_id, operator, deep)
            kernels[operator.family] = kernels.get(operator.family, 0) + device_ns
        if self.spec.gpus:
            add_window_device(self, window_id, index, span_ns, kernels)
        self._commit()
        return window_id

    def add_output(self, data: bytes, stream: int = 1) -> None:
        """Output of the script, now."""
        self.insert("log", at_ns=self.now_ns, stream=stream, data=data)
        self._commit()

    def add_mark(self, name: str, value: str | None = None) -> None:
        """A mark, now."""
        self.insert("marks", process_id=1, at_ns=self.now_ns, name=name, value=value)
        self._commit()

    def add_notice(self, severity: str, code: str, text: str, next: str = "") -> None:
        """A notice, now."""
        self.insert(
            "notices", at_ns=self.now_ns, severity=severity, code=code, text=text, next=next
        )
        self._commit()

    def insert(self, table: str, **columns: Any) -> int:
        """One row of any table, for what has no method here; returns its rowid."""
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        cursor = self._db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values())
        )
        return cursor.lastrowid or 0

    def commit(self) -> None:
        """Let readers see what `insert` wrote."""
        self._commit()

    def finish(self) -> Path:
        """The run has ended: one plain file, out of WAL mode."""
        status = self.spec.exit_status if self.spec.state == "finished" else None
        state = "lost" if self.spec.state == "lost" else "finished"
        self._db.execute(
            "UPDATE run SET state = ?, exit_status = ?, duration_ns = ?",
            (state, status, None if state == "lost" else self.now_ns),
        )
        self._db.execute("UPDATE processes SET ended_ns = ?", (self.now_ns,))
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.close()
        return self.path

    def close(self) -> None:
        """Let go of the file as a recorder that was killed does: the WAL stays beside it."""
        self._db.execute("COMMIT")
        # The last connection that closes checkpoints and removes the WAL, unless told not to; an
        # open reader makes it no longer the last.
        keeper = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)
        keeper.execute("SELECT count(*) FROM run").fetchone()
        self._db.close()
        keeper.close()

    def _commit(self) -> None:
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def _add_run(self) -> None:
        spec = self.spec
        self.insert(
            "run", id=spec.run_id, command=json.dumps(spec.command), cwd="/home/me/project",
            host="gpu-box", fwtop_version="0.1.0", started_unix_ns=1_795_428_672 * S,
            started_monotonic_ns=1_000 * S, state="running",
            versions=json.dumps({"os": "Ubuntu 24.04", "driver": "580.95.05", "cuda": "13.0"}),
            environment=json.dumps({"OMP_NUM_THREADS": "8"}), git_revision="a2f4022",
            git_dirty=0, options=json.dumps({"overhead": spec.budget_ratio}),
        )  # fmt: skip

    def _add_processes(self) -> None:
        spec = self.spec
        several = spec.processes > 1
        for rank in range(spec.processes):
            process_id = self.insert(
                "processes", process_key=f"{4000 + rank}-1", pid=4000 + rank, parent_pid=3999,
                argv=json.dumps(spec.command), executable="/usr/bin/python3",
                python_version="3.11.7", host="gpu-box", started_ns=200 * MS,
                rank=rank if several else None, local_rank=rank if several else None,
                world_size=spec.processes if several else None,
                device=f"cuda:{rank}" if spec.gpus else "cpu", step_source="optimizer",
                step_source_detail="SGD.step", messages_dropped=spec.messages_dropped,
            )  # fmt: skip
            self.insert(
                "frameworks", process_id=process_id, name="torch", version="2.13.0",
                hooks=json.dumps({"windows": "gil released", "compile": "structured trace"}),
            )  # fmt: skip
            self.insert(
                "governor", process_id=process_id, at_ns=self.now_ns,
                budget_ratio=spec.budget_ratio, measured_ratio=spec.measured_ratio,
                elapsed_ns=60 * S, cost_ns=400 * MS, hook_cost_ns=20 * MS, windows=spec.windows,
                next_window_ns=None, waiting_for="budget",
            )  # fmt: skip

    def _add_devices(self) -> None:
        for index in range(self.spec.gpus):
            used = index < self.spec.processes
            device_id = self.insert(
                "devices", device_key=f"GPU-{index:08x}", vendor="nvidia", device_index=index,
                name="NVIDIA A100-SXM4-80GB", uuid=f"GPU-{index:08x}", used=used,
                memory_total_bytes=_GPU_BYTES, facts=json.dumps({"driver": "580.95.05"}),
            )  # fmt: skip
            if used:
                self.insert(
                    "device_processes", device_id=device_id, pid=4000 + index, at_ns=self.now_ns,
                    name="python3", memory_bytes=int(_GPU_BYTES * self.spec.memory_share), own=1,
                )  # fmt: skip

    def _step(self, process_id: int, flags: int) -> tuple[Any, ...]:
        """One row of `steps`; moves the clock on."""
        spec, noise = self.spec, self._random.lognormvariate
        parts = {
            phase: int(spec.step_ns * share * (1 - spec.input_share) * noise(0, 0.03))
            for phase, share in _PHASE_SHARES.items()
        }
        parts["input"] = int(spec.step_ns * spec.input_share * noise(0, 0.4))
        parts["forward"] += self._compiling_ns
        other = int(spec.step_ns * 0.05 * (1 - spec.input_share) * noise(0, 0.1))
        if flags & TRACED:
            other += 3 * MS
        index, start_ns = self.next_index, self.now_ns
        if spec.epoch_steps and index and index % spec.epoch_steps == 0:
            start_ns += 20 * spec.step_ns
            flags |= GAP
        duration_ns = sum(parts.values()) + other
        self.now_ns = start_ns + duration_ns
        self.next_index += 1
        h2d = parts["h2d"] if spec.gpus else None
        return (
            process_id, index, start_ns, duration_ns, parts["input"], h2d, parts["forward"],
            parts["backward"], parts["optimizer"], flags, spec.samples,
        )  # fmt: skip

    def _insert_steps(self, process_id: int, steps: list[tuple[Any, ...]]) -> None:
        self._db.executemany(f"INSERT INTO steps VALUES ({', '.join('?' * 11)})", steps)
        buckets: dict[int, list[tuple[Any, ...]]] = {}
        for step in steps:
            buckets.setdefault(step[2] // ROLLUP_NS, []).append(step)
        for bucket, members in buckets.items():
            self._add_to_rollup(process_id, bucket, members)

    def _add_to_rollup(
        self, process_id: int, bucket: int, steps: Sequence[tuple[Any, ...]]
    ) -> None:
        old = self._db.execute(
            "SELECT * FROM step_rollups WHERE process_id = ? AND bucket = ?", (process_id, bucket)
        ).fetchone()
        durations = [step[3] for step in steps]
        sketch = Sketch.from_bytes(old[14]) if old else Sketch()
        sketch.add_many(durations)
        columns = list(zip(*steps, strict=True))
        row = (
            process_id,
            bucket,
            old[2] if old else steps[0][1],
            len(steps) + (old[3] if old else 0),
            sum(durations) + (old[4] if old else 0),
            min(durations + ([old[5]] if old else [])),
            max(durations + ([old[6]] if old else [])),
            *(_sum(columns[4 + n], old[7 + n] if old else None) for n in range(5)),
            _sum(columns[10], old[12] if old else None),
            sum(1 for step in steps if step[9]) + (old[13] if old else 0),
            sketch.to_bytes(),
        )
        self._db.execute(f"REPLACE INTO step_rollups VALUES ({', '.join('?' * 15)})", row)

    def _add_phases(
        self, common: dict[str, Any], parent: str, start_ns: int, length_ns: int,
        phases: Iterable[tuple[Any, ...]],
    ) -> None:  # fmt: skip
        for name, share, *children in phases:
            key = f"{parent}/{name}"
            part_ns = int(length_ns * share)
            self.insert(
                "compile_events", **common, key=key, parent_key=parent, kind="phase", name=name,
                start_ns=start_ns, duration_ns=part_ns,
            )  # fmt: skip
            if children:
                self._add_phases(common, key, start_ns, part_ns, children[0])
            start_ns += part_ns

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

    def _add_operator(self, window_id: int, operator: _Operator, deep: bool) -> int:
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

    def _add_flops(self, window_id: int, operator: _Operator, host_ns: int, device_ns: int) -> None:
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

    def _add_readings(self) -> None:
        """Samples of each second, and the output, up to now."""
        now_ns = self.now_ns
        while self._next_sample_ns <= now_ns:
            at_ns = self._next_sample_ns
            busy = at_ns >= _FIRST_STEP_NS
            for device_id in range(1, self.spec.gpus + 1):
                self._add_device_sample(device_id, at_ns, busy and device_id <= self.spec.processes)
            if self.spec.host:
                self._add_host_sample(at_ns, busy)
            self._next_sample_ns += S
        if self.spec.log:
            self._add_log(now_ns)

    def _add_device_sample(self, device_id: int, at_ns: int, busy: bool) -> None:
        spec = self.spec
        load = min(1.0, spec.utilization * self._random.uniform(0.96, 1.04)) if busy else 0.0
        share = spec.memory_share * min(1.0, 0.6 + at_ns / (60 * S)) if busy else 0.006
        reasons = "sw thermal" if spec.throttled and busy else ""
        self.insert(
            "device_samples", device_id=device_id, at_ns=at_ns, utilization_ratio=load,
            memory_utilization_ratio=load * 0.6, memory_used_bytes=int(_GPU_BYTES * share),
            power_w=62 + 310 * load, power_limit_w=400.0,
            sm_clock_hz=int((1100 if reasons else 1410) * 1e6) if busy else 210_000_000,
            memory_clock_hz=1_593_000_000, temperature_c=34 + 30 * load, fan_ratio=None,
            pcie_generation=4, pcie_width=16, pcie_rx_bytes_per_s=int(1.2e9 * load),
            pcie_tx_bytes_per_s=int(2e8 * load), throttle_reasons=reasons,
            ecc_corrected=0, ecc_uncorrected=0,
        )  # fmt: skip
        if busy:
            allocated = int(_GPU_BYTES * share * 0.9)
            self.insert(
                "memory_samples", process_id=device_id, at_ns=at_ns,
                device=f"cuda:{device_id - 1}", allocated_bytes=allocated,
                reserved_bytes=int(_GPU_BYTES * share), active_bytes=allocated,
                allocated_peak_bytes=int(allocated * 1.05),
                reserved_peak_bytes=int(_GPU_BYTES * share), retries=0, ooms=0,
            )  # fmt: skip

    def _add_host_sample(self, at_ns: int, busy: bool) -> None:
        spec = self.spec
        loads = [
            min(1.0, self._random.uniform(0.1, 0.5) + (0.5 if busy and core < 4 else 0))
            for core in range(spec.cores)
        ]
        self.insert(
            "host_samples", at_ns=at_ns, cpu_ratio=sum(loads) / spec.cores,
            core_ratios=bytes(int(load * 255) for load in loads), memory_used_bytes=48 * GIB,
            memory_total_bytes=256 * GIB, swap_used_bytes=0,
            disk_read_bytes_per_s=int(self._random.uniform(0.5, 1.5) * 120e6),
            disk_write_bytes_per_s=2_000_000, network_rx_bytes_per_s=40_000,
            network_tx_bytes_per_s=90_000, load_1=sum(loads), run_cpu_ratio=4.2 if busy else 1.0,
            run_rss_bytes=6 * GIB, run_processes=5, recorder_cpu_ratio=0.012,
            recorder_rss_bytes=48 << 20,
        )  # fmt: skip
        self._db.executemany(
            "REPLACE INTO host_processes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(4000, 3999, at_ns, "python3", 1.02, 4 * GIB, 71, 1)]
            + [(4100 + n, 4000, at_ns, "pt_data_worker", 0.8, GIB // 2, 1, 1) for n in range(4)],
        )

    def _add_log(self, now_ns: int) -> None:
        """What tqdm draws twice a second: a bar after a carriage return, a line an epoch."""
        self._next_log_ns = self._next_log_ns or _FIRST_STEP_NS
        while self._next_log_ns <= now_ns:
            whole = self.spec.epoch_steps or self.spec.steps
            done = (self._next_log_ns - _FIRST_STEP_NS) // self.spec.step_ns
            epoch, at = divmod(done, whole)
            bar = "█" * (at * 20 // whole)
            text = f"\repoch {epoch}: {at * 100 // whole:3}%|{bar:<20}| {at}/{whole} [10.1it/s]"
            if at < 500 * MS // self.spec.step_ns and epoch:
                text = f"\n\x1b[32mepoch {epoch - 1} done\x1b[0m loss {2.3 / epoch:.3f}\n" + text
                self.insert(
                    "marks", process_id=1, at_ns=self._next_log_ns, name="epoch", value=str(epoch)
                )
            self.insert("log", at_ns=self._next_log_ns, stream=1, data=text.encode())
            self._next_log_ns += 500 * MS


def _sum(parts: Iterable[int | None], before: int | None) -> int | None:
    known = [part for part in (*parts, before) if part is not None]
    return sum(known) if known else None
