"""SQLite exports of Nsight Systems for tests, by the schema that its documentation publishes.

No export of a real run is kept here: this is what a reader can rely on, and columns that it does
not need are left out, as older versions do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

START_UNIX_NS = 1_733_527_485_000_000_000
TABLES = {
    "StringIds": "id INTEGER PRIMARY KEY, value TEXT NOT NULL",
    "TARGET_INFO_SESSION_START_TIME": "utcEpochNs INTEGER, utcTime TEXT, localTime TEXT",
    "TARGET_INFO_GPU": "id INTEGER, name TEXT, totalMemory INTEGER, smCount INTEGER",
    "CUPTI_ACTIVITY_KIND_KERNEL": (
        "start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER, correlationId INTEGER,"
        " globalPid INTEGER, demangledName INTEGER, shortName INTEGER, gridX INTEGER,"
        " gridY INTEGER, gridZ INTEGER"
    ),
    "CUPTI_ACTIVITY_KIND_MEMCPY": (
        "start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER, correlationId INTEGER,"
        " globalPid INTEGER, bytes INTEGER, copyKind INTEGER"
    ),
    "CUPTI_ACTIVITY_KIND_MEMSET": (
        "start INTEGER, end INTEGER, deviceId INTEGER, streamId INTEGER, correlationId INTEGER,"
        " globalPid INTEGER, value INTEGER, bytes INTEGER"
    ),
    "CUPTI_ACTIVITY_KIND_RUNTIME": (
        "start INTEGER, end INTEGER, eventClass INTEGER, globalTid INTEGER,"
        " correlationId INTEGER, nameId INTEGER, returnValue INTEGER"
    ),
    "NVTX_EVENTS": (
        "start INTEGER, end INTEGER, eventType INTEGER, text TEXT, globalTid INTEGER,"
        " textId INTEGER"
    ),
}
Row = dict[str, Any]


class Export:
    """An export in the making; texts become `StringIds`."""

    def __init__(self, path: Path, page_bytes: int = 4_096):
        self.path = path
        self.db = sqlite3.connect(path)
        self.db.execute(f"PRAGMA page_size={page_bytes}")
        for table, columns in TABLES.items():
            self.db.execute(f"CREATE TABLE {table} ({columns})")
        self.add("TARGET_INFO_SESSION_START_TIME", utcEpochNs=START_UNIX_NS)
        self.add("TARGET_INFO_GPU", id=0, name="NVIDIA H100", totalMemory=80 << 30, smCount=132)

    def add(self, table: str, **row: Any) -> Export:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
        return self

    def text(self, text: str) -> int:
        found = self.db.execute("SELECT id FROM StringIds WHERE value = ?", (text,)).fetchone()
        if found is None:
            return int(
                self.db.execute("INSERT INTO StringIds (value) VALUES (?)", (text,)).lastrowid or 0
            )
        return int(found[0])

    def range(self, name: str, start: int, end: int, pid: int = 7, thread: int = 7) -> Export:
        return self.add(
            "NVTX_EVENTS", start=start, end=end, eventType=59, text=name,
            globalTid=global_id(pid, thread),
        )  # fmt: skip

    def call(self, name: str, start: int, end: int, correlation: int, pid: int = 7) -> Export:
        return self.add(
            "CUPTI_ACTIVITY_KIND_RUNTIME", start=start, end=end, globalTid=global_id(pid, pid),
            correlationId=correlation, nameId=self.text(name),
        )  # fmt: skip

    def kernel(
        self, name: str, start: int, end: int, correlation: int, pid: int = 7, **more: Any
    ) -> Export:
        row = {"deviceId": 0, "streamId": 7, "gridX": 264, "gridY": 1, "gridZ": 1, **more}
        return self.add(
            "CUPTI_ACTIVITY_KIND_KERNEL", start=start, end=end, correlationId=correlation,
            globalPid=global_id(pid), demangledName=self.text(name), **row,
        )  # fmt: skip

    def done(self) -> Path:
        self.db.commit()
        self.db.execute("VACUUM")
        self.db.close()
        return self.path


def global_id(pid: int, thread: int = 0) -> int:
    """`globalPid`, or `globalTid` with the thread."""
    return 0x1 << 56 | pid << 24 | thread


def training(path: Path, pids: Iterable[int] = (7,), page_bytes: int = 4_096) -> Path:
    """Two steps of each process, as `emit_nvtx` marks their operators."""
    export = Export(path, page_bytes)
    for pid in pids:
        for number in range(2):
            at, launch = number * 10_000, 100 + number
            export.range(f"step {number}", at, at + 10_000, pid, pid)
            export.range("aten::mm, seq = 4, op_id = 12, sizes = [[2, 3], [3, 4]]",
                         at + 100, at + 3_000, pid, pid)  # fmt: skip
            export.call("cudaLaunchKernel_v7000", at + 200, at + 260, launch, pid)
            export.kernel("sgemm_128x64", at + 1_000, at + 5_000, launch, pid)
        export.add("CUPTI_ACTIVITY_KIND_MEMCPY", start=6_000, end=6_500, deviceId=0, streamId=8,
                   correlationId=9, globalPid=global_id(pid), bytes=4_096, copyKind=1)  # fmt: skip
        export.add("CUPTI_ACTIVITY_KIND_MEMSET", start=7_000, end=7_010, deviceId=0, streamId=8,
                   correlationId=10, globalPid=global_id(pid), bytes=8)  # fmt: skip
    return export.done()
