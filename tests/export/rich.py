"""A recording with something in every table, names that want to be more than names, and a raw trace
of a window with launches, kernels and nested operators."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import zstandard

from fwtop.export.source import Source, Stretch
from fwtop.recording.store import open_recording
from tests.recordings import Builder, Spec
from tests.traces.trace_files import document, row

HOSTILE = (
    "</script><img src=x onerror=document.title=1337>|`*[a](javascript:alert(1))\"'&\n\x1b[31m;=1"
)
FORMULA = '=HYPERLINK("http://evil.example")'
HALF_PAIR = "\ud800"
STARTED_NS = 1_795_428_672 * 10**9
STEPS = 300


def build(path: Path, steps: int = STEPS, raw: bool = True, damaged_raw: bool = False) -> Path:
    """Two ranks on two GPUs, with compiles, windows, marks, output and a failed allocator."""
    builder = Builder(path, Spec(steps=steps, processes=2, windows=2, compiles=2))
    builder.add_everything()
    window_id = builder.add_window(deep=True)
    builder.add_mark(HOSTILE, FORMULA)
    builder.add_notice("warning", "strange", HOSTILE, FORMULA)
    builder.add_output(b"loss 1\rloss 2\n\x1b[1mbold\x1b[0m <b>\xff\n" + b"x" * 40_000 + b"\nlast")
    builder.add_output(b"warned\n", stream=2)
    builder.insert(
        "out_of_memory", process_id=1, at_ns=builder.now_ns, device="cuda:0", message=HOSTILE,
        holders="[]",
    )  # fmt: skip
    operator_id = builder.insert("operator_names", name=HOSTILE, family=HOSTILE)
    formula_id = builder.insert("operator_names", name=FORMULA, family="other")
    for name_id, phase in ((operator_id, HOSTILE), (formula_id, "forward")):
        builder.insert(
            "operator_stats", window_id=window_id, operator_id=name_id, phase=phase, device="cpu",
            calls=3, self_ns=5_000_000, total_ns=6_000_000, flops=None,
        )  # fmt: skip
    builder.insert("kernel_stats", window_id=window_id, operator_id=operator_id, stream=7, calls=1,
                   total_ns=9_000_000)  # fmt: skip
    builder.insert("input_stages", window_id=window_id, path="Prefetch::Map", calls=2, self_ns=5,
                   total_ns=9)  # fmt: skip
    builder.insert("memory_timeline", window_id=window_id, device="gpu", offset_ns=3,
                   allocated_bytes=-12)  # fmt: skip
    builder.insert("memory_holders", window_id=window_id, device="gpu", operator_id=formula_id,
                   bytes=99)  # fmt: skip
    builder.insert("device_steps", process_id=1, step_index=3, duration_ns=7, forward_ns=None)
    builder.insert(
        "compile_events", process_id=1, key="open", kind="compile", name=HOSTILE,
        start_ns=builder.now_ns - 5_000_000, duration_ns=None, reason=HOSTILE,
        detail=json.dumps({"half": HALF_PAIR, "huge": 1e400}),
    )  # fmt: skip
    builder._db.execute("UPDATE device_samples SET power_w = 9e999 WHERE at_ns = 0")
    builder._db.execute("UPDATE run SET command = ?", (json.dumps(["train.py", HALF_PAIR]),))
    if raw or damaged_raw:
        start_ns = builder._db.execute("SELECT start_ns FROM windows WHERE id = ?", (window_id,))
        trace = raw_trace(start_ns.fetchone()[0])
        packed = zstandard.ZstdCompressor().compress(trace)
        builder.insert("window_traces", window_id=window_id, compression="zstd",
                       trace=packed[:40] if damaged_raw else packed)  # fmt: skip
    return builder.finish()


def raw_trace(at_ns: int) -> bytes:
    """Kineto's JSON of a window that begins at a time of the run: linear > addmm > launch, and the
    kernel; a backward operator on another thread."""
    at = at_ns / 1000
    rows = [
        row("aten::linear", at, 100, **{"External id": 1}),
        row("aten::addmm", at + 10, 80, **{"External id": 2}),
        row("cudaLaunchKernel", at + 20, 5, cat="cuda_runtime", correlation=77),
        row("gemm", at + 40, 30, cat="kernel", tid="stream 7", correlation=77, device=0, stream=7,
            **{"External id": 2}),
        row("memset", at + 60, 30, cat="gpu_memset", tid="stream 7", correlation=78, device=0,
            stream=7),
        row("autograd::engine::evaluate_function: AddmmBackward0", at + 200, 50, tid=8),
        row("aten::mm", at + 205, 40, tid=8),
        row(HOSTILE, at + 300, 10),
    ]  # fmt: skip
    return json.dumps(document(rows, baseTimeNanoseconds=STARTED_NS)).encode()


def exported(
    write: Callable[[Source, BinaryIO], None],
    path: Path,
    stretch: Stretch | None = None,
    tables: tuple[str, ...] = (),
    warnings: list[str] | None = None,
) -> bytes:
    """What a single-file format writes of a recording."""
    out = io.BytesIO()
    with open_recording(path) as recording:
        source = Source(recording, stretch or Stretch(), tables,
                        warn=[].append if warnings is None else warnings.append)  # fmt: skip
        write(source, out)
    return out.getvalue()


def exported_folder(
    write: Callable[[Source, Path], None], path: Path, folder: Path, **options: object
) -> Path:
    """What a format that makes a folder writes of a recording."""
    folder.mkdir()
    with open_recording(path) as recording:
        write(Source(recording, **options), folder)  # type: ignore[arg-type]
    return folder
