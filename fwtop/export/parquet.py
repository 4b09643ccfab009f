"""Parquet through pyarrow: one file a table, with the same columns as CSV, typed.

64-bit integers, doubles, UTF-8 texts and booleans; unknown is null. zstd, row groups of 65,536.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from fwtop.export.extras import need
from fwtop.export.source import Source
from fwtop.export.table_folder import write_one_table, write_tables
from fwtop.export.tables import Cells, Table

ROW_GROUP = 65_536


def write(source: Source, out: Path) -> None:
    """All tables, or those asked for, into the folder `out`."""
    write_tables(source, out, "parquet", write_table)


def write_one(source: Source, out: BinaryIO) -> None:
    """The one table asked for, into a file."""
    write_one_table(source, out, write_table)


def write_table(source: Source, table: Table, out: BinaryIO) -> int:
    """One table; the number of rows."""
    arrow, parquet = need("pyarrow", "parquet"), need("pyarrow.parquet", "parquet")
    kinds = {
        "int": arrow.int64(), "float": arrow.float64(), "text": arrow.string(),
        "bool": arrow.bool_(),
    }  # fmt: skip
    schema = arrow.schema([(column.name, kinds[column.kind]) for column in table.columns])
    count, held = 0, list[Cells]()
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for batch in table.batches(source):
            held += batch
            if len(held) >= ROW_GROUP:
                writer.write_table(_table(arrow, schema, held))
                count, held = count + len(held), []
        writer.write_table(_table(arrow, schema, held))
    return count + len(held)


def _table(arrow: Any, schema: Any, rows: list[Cells]) -> Any:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    arrays = [
        arrow.array(list(cells), type=field.type)
        for cells, field in zip(columns, schema, strict=True)
    ]
    return arrow.Table.from_arrays(arrays, schema=schema)
