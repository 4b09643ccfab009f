"""What a folder holds: `fwtop-export.json` beside its files, by which a folder is known as ours."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fwtop import __version__
from fwtop.export.source import Source
from fwtop.export.tables import Table
from fwtop.export.texts import cleaned

MANIFEST = "fwtop-export.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Written:
    """A table that was written."""

    table: Table
    file: str
    rows: int


def write_manifest(
    source: Source, folder: Path, format: str, written: Sequence[Written] = ()
) -> None:
    """Which run, which files, and which tables with which columns. To be called last."""
    run, stretch = source.run, source.stretch
    body = {
        "schema_version": SCHEMA_VERSION,
        "fwtop_version": __version__,
        "format": format,
        "run": {
            "id": run.id,
            "command": run.command,
            "started_unix_ns": run.started_unix_ns,
        },
        "from_ns": stretch.start_ns,
        "to_ns": stretch.end_ns,
        "files": sorted(entry.name for entry in folder.iterdir()),
        "tables": [
            {
                "name": one.table.name,
                "what": one.table.what,
                "file": one.file,
                "rows": one.rows,
                "columns": [asdict(column) for column in one.table.columns],
            }
            for one in written
        ],
    }
    text = json.dumps(cleaned(body), indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
