"""JSON: the Summary and every table, in one document, a row a line.

    {"schema_version": 1, "format": "fwtop", "fwtop_version": …, "from_ns": null, "to_ns": null,
     "summary": {…},                       as `fwtop summary --json`, with its own schema_version
     "tables": {"steps": {"what": …, "columns": {"start_ns": "int", …}, "rows": [{…}, …]}, …}}

`fwtop.export.tables` says what is in the tables. A contract: an added table or column is fine, any
other change raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO

import msgspec

from fwtop import __version__
from fwtop.export.source import Source
from fwtop.export.tables import Cell, Table, chosen
from fwtop.export.texts import cleaned
from fwtop.summary import summarize

SCHEMA_VERSION = 1


def write(source: Source, out: BinaryIO) -> None:
    """The document into a file."""
    source.tell("summary", 0, 0)
    summary = summarize(source.recording, source.stretch.end_ns)
    head = {
        "schema_version": SCHEMA_VERSION,
        "format": "fwtop",
        "fwtop_version": __version__,
        "from_ns": source.stretch.start_ns,
        "to_ns": source.stretch.end_ns,
        "summary": cleaned(msgspec.to_builtins(summary)),
    }
    out.write(_encoded(head)[:-1] + b',\n"tables":{')
    for number, table in enumerate(chosen(source.tables)):
        out.write(b",\n" if number else b"\n")
        _write_table(source, table, out)
    out.write(b"\n}}\n")


def _write_table(source: Source, table: Table, out: BinaryIO) -> None:
    names = [column.name for column in table.columns]
    columns = {column.name: column.kind for column in table.columns}
    head = _encoded({"what": table.what, "columns": columns})[:-1]
    out.write(_encoded(table.name) + b":" + head + b',"rows":[')
    separator = b"\n"
    encode = msgspec.json.encode
    for batch in table.batches(source):
        lines = [
            encode(dict(zip(names, map(_finite, row), strict=True))) for row in batch
        ]  # fmt: skip
        if lines:
            out.write(separator + b",\n".join(lines))
            separator = b",\n"
    out.write(b"]}")


def _finite(cell: Cell) -> Cell:
    return None if type(cell) is float and not math.isfinite(cell) else cell


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
