"""Small Kineto traces for tests, written as torch writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BASE_NS = 1_790_857_026_000_000_000


def row(
    name: str, ts: float, dur: float, *, cat: str = "cpu_op", tid: int | str = 7, **args: Any
) -> dict[str, Any]:
    return {
        "ph": "X", "cat": cat, "name": name, "pid": 5, "tid": tid, "ts": ts, "dur": dur,
        "args": args,
    }  # fmt: skip


def document(rows: list[dict[str, Any]], **around: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 1,
        "deviceProperties": [],
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": BASE_NS,
        **around,
        "traceEvents": rows,
        "traceName": "window.json",
    }


def write(path: Path, rows: list[dict[str, Any]], **around: Any) -> Path:
    path.write_text(json.dumps(document(rows, **around), indent=2))
    return path
