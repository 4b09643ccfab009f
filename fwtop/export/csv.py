"""CSV: one file a table (RFC 4180, UTF-8, a head line, `\\n` ends lines).

Unknown is an empty cell; true and false are written as such; floats in full.
A text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, a tab or a
carriage return) gets an apostrophe in front, as spreadsheets themselves mark texts: names in a
recording come from anywhere (https://owasp.org/www-community/attacks/CSV_Injection). Parquet and
JSON have such texts as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fwtop.export.source import Source
from fwtop.export.table_folder import write_one_table, write_tables
from fwtop.export.tables import Cell, Cells, Table

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(source: Source, out: Path) -> None:
    """All tables, or those asked for, into the folder `out`."""
    write_tables(source, out, "csv", write_table)


def write_one(source: Source, out: BinaryIO) -> None:
    """The one table asked for, into a file."""
    write_one_table(source, out, write_table)


def write_table(source: Source, table: Table, out: BinaryIO) -> int:
    """One table with its head; the number of rows."""
    text = io.TextIOWrapper(out, "utf-8", newline="", write_through=False)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in table.columns])
        count = 0
        for batch in table.batches(source):
            writer.writerows(_written(batch))
            count += len(batch)
        text.flush()
    finally:
        text.detach()  # the file stays its opener's
    return count


def _written(batch: list[Cells]) -> Iterator[list[Cell]]:
    for row in batch:
        yield [
            cell
            if type(cell) is int or cell is None
            else ("'" + cell if cell.startswith(FORMULA) else cell)
            if isinstance(cell, str)
            else ("true" if cell else "false")
            if isinstance(cell, bool)
            else cell
            for cell in row
        ]
