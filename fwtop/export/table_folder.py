"""Tables as files: a folder of them beside its manifest, or the one that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from fwtop.export.manifest import Written, write_manifest
from fwtop.export.source import Source
from fwtop.export.tables import Table, chosen

WriteTable = Callable[[Source, Table, BinaryIO], int]
"""Writes a table into a file; returns the number of its rows."""


def write_tables(source: Source, out: Path, ending: str, write_table: WriteTable) -> None:
    """All tables, or those asked for, into the folder `out`, as files with that ending."""
    written = []
    for table in chosen(source.tables):
        name = f"{table.name}.{ending}"
        with (out / name).open("wb") as file:
            written.append(Written(table, name, write_table(source, table, file)))
    write_manifest(source, out, ending, written)


def write_one_table(source: Source, out: BinaryIO, write_table: WriteTable) -> None:
    """The one table asked for, into a file."""
    (table,) = chosen(source.tables)
    write_table(source, table, out)
