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
from dataclasses import replace
from pathlib import Path
from typing import Any

from fwtop.analysis.sketch import Sketch
from fwtop.recording.schema import ROLLUP_NS
from fwtop.recording.store import create_recording
from tests.device_rows import add_window_device
from tests.operator_rows import OPERATORS, OperatorRows
from tests.reading_rows import ReadingRows
from tests.recording_spec import (
    COMPILED,
    FIRST_STEP_NS,
    GAP,
    GPU_BYTES,
    MS,
    TRACED,
    S,
    Spec,
)

_COMPILE_PHASES = (
    ("dynamo", 0.25, ()),
    ("aot_autograd", 0.20, ()),
    ("inductor", 0.55, (("code generation", 0.3), ("C++ compile", 0.6))),
)
_PHASE_SHARES = {"h2d": 0.02, "forward": 0.34, "backward": 0.50, "optimizer": 0.09}


def build(path: Path, spec: Spec | None = None, **changes: Any) -> Path:
    """Write a whole recording and return its path; `changes` are fields of `Spec`."""
    builder = Builder(path, replace(spec or Spec(), **changes))
    builder.add_everything()
    if builder.spec.state in ("finished", "lost"):
        builder.finish()
    else:
        builder.close()
    return path


class Builder(OperatorRows, ReadingRows):
    """Writes a recording bit by bit; `now_ns` is how far the run has come on its own clock."""

    def __init__(self, path: Path, spec: Spec | None = None) -> None:
        self.path = path
        self.spec = spec or Spec()
        self.now_ns = FIRST_STEP_NS
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
        for operator in OPERATORS:
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
                memory_total_bytes=GPU_BYTES, facts=json.dumps({"driver": "580.95.05"}),
            )  # fmt: skip
            if used:
                self.insert(
                    "device_processes", device_id=device_id, pid=4000 + index, at_ns=self.now_ns,
                    name="python3", memory_bytes=int(GPU_BYTES * self.spec.memory_share), own=1,
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


def _sum(parts: Iterable[int | None], before: int | None) -> int | None:
    known = [part for part in (*parts, before) if part is not None]
    return sum(known) if known else None
