"""Which of a run's files are of one process, and what is known of each process.

A rank is a process; without ranks it is the pid, as the trace or its file's name tells, else the
worker in the file's name (TensorBoard's `HOST_PID.TIME.pt.trace.json`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fwtop.importer.imported import Imported

Value = TypeVar("Value", int, str)


@dataclass(slots=True)
class ImportedProcess:
    """One process with its files, the earliest first."""

    id: int
    key: str
    rank: int | None
    world_size: int | None
    pid: int | None
    host: str | None
    frameworks: list[str] = field(default_factory=list)
    files: list[Imported] = field(default_factory=list)


def processes(files: Sequence[Imported]) -> list[ImportedProcess]:
    """The run's processes: by rank, those without one last, as they came."""
    gathered: dict[str, list[Imported]] = {}
    ranked_pids = {_pid(file): file for file in files if _rank(file) is not None}
    for file in files:
        of = ranked_pids.get(_pid(file), file) if _rank(file) is None else file
        gathered.setdefault(_key(file if _pid(file) is None else of), []).append(file)
    keys = sorted(gathered, key=lambda key: _order(gathered[key]))
    sized = any(file.process.world_size for file in files)
    ranked = len({rank for file in files if (rank := _rank(file)) is not None})
    return [
        _process(number, key, gathered[key], None if sized or ranked < 2 else ranked)
        for number, key in enumerate(keys, start=1)
    ]


def _process(number: int, key: str, own: list[Imported], ranks: int | None) -> ImportedProcess:
    own.sort(key=lambda file: file.base_unix_ns + file.start_ns)
    process = ImportedProcess(
        number,
        key,
        rank=_first(_rank(file) for file in own),
        world_size=_first(file.process.world_size for file in own) or ranks,
        pid=_first(_pid(file) for file in own),
        host=_first(file.process.host for file in own),
        files=own,
    )
    names = (file.process.framework for file in own)
    process.frameworks = list(dict.fromkeys(name for name in names if name))
    return process


def _key(file: Imported) -> str:
    rank, pid = _rank(file), _pid(file)
    if rank is not None:
        return f"rank {rank}"
    if pid is not None:
        return f"pid {pid} {file.process.host or ''}"
    where = f"worker {file.file.worker} {file.file.path.parent}"
    return os.fsencode(where).decode("utf-8", "replace")


def _rank(file: Imported) -> int | None:
    return file.file.rank if file.process.rank is None else file.process.rank


def _pid(file: Imported) -> int | None:
    return file.file.worker_pid if file.process.pid is None else file.process.pid


def _order(own: list[Imported]) -> tuple[bool, int]:
    rank = _rank(own[0])
    return rank is None, rank or 0


def _first(values: Iterable[Value | None]) -> Value | None:
    return next((value for value in values if value is not None), None)
