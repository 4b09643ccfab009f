"""TORCH_TRACE logs for tests, written as torch writes them (torch/_logging/_internal.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import md5
from pathlib import Path
from typing import Any

START_US = 1_733_527_485_403_000
"""2024-12-06 23:24:45.403 UTC, for the line time 15:24:45.403: eight hours west of it."""
PACKAGE = "/opt/env/torch/_dynamo/convert_frame.py"


def record(metadata: dict[str, Any], payload: str | None = None, after_us: int = 0) -> str:
    """A record of so many microseconds after the log's begin, less than 14 seconds."""
    if payload is not None:
        metadata = {**metadata, "has_payload": md5(payload.encode()).hexdigest()}
    second, micros = divmod(45_403_000 + after_us, 1_000_000)
    where = f"15:24:{second:02d}.{micros:06d} 4242 torch/_dynamo/utils.py:1288"
    line = f"V1206 {where}] {json.dumps(metadata)}\n"
    lines = [] if payload is None else payload.split("\n")
    return line + "".join(f"\t{one}\n" for one in lines)


def interned(text: str, number: int) -> str:
    return record({"str": [text, number]})


def chromium(name: str, letter: str, after_us: int, **ids: Any) -> str:
    payload = json.dumps(
        {"name": name, "ts": START_US + after_us, "args": {}, "ph": letter, "cat": "x", "tid": 0,
         "pid": 0},
        indent=0,
    )  # fmt: skip
    return record({"chromium_event": {}, **ids}, payload, after_us)


def compiled(frame: int = 0, at_us: int = 0, takes_us: int = 50_000, times: int = 0) -> str:
    """All records of one compile of the user's function `f`."""
    ids = {"frame_id": frame, "frame_compile_id": times, "attempt": 0}
    stack = [
        {"line": 3, "name": "<module>", "filename": 1},
        {"line": 9, "name": "f", "filename": 1},
    ]
    return "".join(
        [
            chromium("entire_frame_compile", "B", at_us, **ids),
            record({"dynamo_start": {"stack": stack}, **ids}, None, at_us),
            chromium("backend_compile", "B", at_us + 1_000, **ids),
            record(
                {"artifact": {"name": "fx_graph_cache_miss", "encoding": "json"}, **ids},
                "{}",
                at_us + 2_000,
            ),
            chromium("backend_compile", "E", at_us + takes_us - 1_000, **ids),
            record({"compilation_metrics": {"graph_op_count": 7}, **ids}, None, at_us + takes_us),
            chromium("entire_frame_compile", "E", at_us + takes_us, **ids),
        ]
    )


def log(*records: str) -> bytes:
    """A log of these, after the file names that they refer to."""
    return "".join([interned(PACKAGE, 0), interned("/home/me/train.py", 1), *records]).encode()


def write(path: Path, records: Iterable[str]) -> Path:
    path.write_bytes(log(*records))
    return path
