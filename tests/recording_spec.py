"""What a synthetic recording looks like, and the rows that all of its parts are made of."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from typing import Any

MS = 1_000_000
S = 1_000_000_000
GIB = 1 << 30
GPU_BYTES = 80 * GIB
FIRST_STEP_NS = 6 * S

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


class Rows:
    """An open recording that rows are put into; the same seed makes the same rows."""

    spec: Spec
    now_ns: int
    _db: sqlite3.Connection
    _random: random.Random

    def insert(self, table: str, **columns: Any) -> int:
        """One row of any table, for what has no method here; returns its rowid."""
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        cursor = self._db.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values())
        )
        return cursor.lastrowid or 0

    def _commit(self) -> None:
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")
