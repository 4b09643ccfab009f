"""CSV, Parquet and JSON, read back by the csv module, pyarrow and json, against the recording."""

from __future__ import annotations

import csv
import io
import json
import math
import sqlite3
from pathlib import Path

import pyarrow.parquet
import pytest

from fwtop.export import csv as to_csv
from fwtop.export import json as to_json
from fwtop.export import parquet as to_parquet
from fwtop.export.source import ExportError, Stretch
from fwtop.export.tables import TABLES, chosen
from tests.export.rich import FORMULA, HOSTILE, STEPS, exported, exported_folder

RECORDED_BY_ANOTHER_NAME = {
    "memory": "memory_samples", "operators": "operator_stats", "kernels": "kernel_stats",
    "traced_steps": "step_breakdowns", "overhead": "governor",
}  # fmt: skip


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def csv_of(path: Path, table: str, stretch: Stretch | None = None) -> list[dict[str, str]]:
    return rows_of(exported(to_csv.write_one, path, stretch, (table,)))


def count_of(path: Path, table: str) -> int:
    with sqlite3.connect(path) as db:
        return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("table", [t.name for t in TABLES if t.name not in ("findings", "log")])
def test_every_row_of_the_recording_is_there(rich: Path, table: str) -> None:
    recorded = RECORDED_BY_ANOTHER_NAME.get(table, table)
    assert len(csv_of(rich, table)) == count_of(rich, recorded) > 0


def test_steps_have_the_recording_s_figures(rich: Path) -> None:
    rows = csv_of(rich, "steps")
    with sqlite3.connect(rich) as db:
        db.row_factory = sqlite3.Row
        recorded = db.execute("SELECT * FROM steps ORDER BY process_id, step_index").fetchall()
    for row, step in zip(rows, recorded, strict=True):
        for name in ("process_id", "step_index", "start_ns", "duration_ns", "input_ns", "samples"):
            assert int(row[name]) == step[name]
        assert row["traced"] == ("true" if step["flags"] & 1 else "false")
        assert row["compiled"] == ("true" if step["flags"] & 2 else "false")
        assert int(row["rank"]) == step["process_id"] - 1
        phases = sum(step[f"{p}_ns"] for p in ("input", "h2d", "forward", "backward", "optimizer"))
        assert int(row["other_ns"]) == max(0, step["duration_ns"] - phases)


def test_unknown_is_an_empty_cell_and_never_zero(rich: Path) -> None:
    (row,) = csv_of(rich, "device_steps")
    assert (row["duration_ns"], row["forward_ns"]) == ("7", "")


def test_a_step_without_a_known_phase_has_no_rest(rich: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.fwtop"
    path.write_bytes(rich.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute("UPDATE steps SET input_ns = NULL, h2d_ns = NULL, forward_ns = NULL,"
                   " backward_ns = NULL, optimizer_ns = NULL WHERE step_index = 5")  # fmt: skip
    rows = csv_of(path, "steps")
    assert {row["other_ns"] for row in rows if row["step_index"] == "5"} == {""}
    assert "" not in {row["other_ns"] for row in rows if row["step_index"] != "5"}


def test_no_cell_of_a_csv_is_a_formula(rich: Path, tmp_path: Path) -> None:
    folder = exported_folder(to_csv.write, rich, tmp_path / "csv")
    texts = [cell for file in folder.glob("*.csv") for row in rows_of(file.read_bytes())
             for cell in row.values()]  # fmt: skip
    assert "'" + FORMULA in texts
    assert HOSTILE in texts
    for text in texts:
        if text.startswith(("=", "+", "-", "@", "\t", "\r")):
            float(text)  # a negative number is one


def test_parquet_has_the_same_tables_typed(rich: Path, tmp_path: Path) -> None:
    folder = exported_folder(to_parquet.write, rich, tmp_path / "parquet")
    manifest = json.loads((folder / "fwtop-export.json").read_bytes())
    assert [one["name"] for one in manifest["tables"]] == [table.name for table in TABLES]
    types = {"int": "int64", "float": "double", "text": "string", "bool": "bool"}
    for one, table in zip(manifest["tables"], TABLES, strict=True):
        found = pyarrow.parquet.read_table(folder / one["file"])
        assert found.num_rows == one["rows"]
        assert [(field.name, str(field.type)) for field in found.schema] == [
            (column.name, types[column.kind]) for column in table.columns
        ]
        assert found.num_rows == len(csv_of(rich, table.name))
    operators = pyarrow.parquet.read_table(folder / "operators.parquet").to_pylist()
    assert {FORMULA, HOSTILE} <= {row["name"] for row in operators}
    assert None in {row["flops"] for row in operators}
    samples = pyarrow.parquet.read_table(folder / "device_samples.parquet").to_pylist()
    assert math.inf in {row["power_w"] for row in samples}


def test_json_is_one_document_with_summary_and_tables(rich: Path) -> None:
    data = exported(to_json.write, rich)
    body = json.loads(data, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (body["schema_version"], body["format"]) == (1, "fwtop")
    assert body["summary"]["schema_version"] == 1
    assert body["summary"]["steps"]["count"] == STEPS + 1
    assert list(body["tables"]) == [table.name for table in TABLES]
    for table in TABLES:
        made = body["tables"][table.name]
        assert made["columns"] == {column.name: column.kind for column in table.columns}
        assert len(made["rows"]) == len(csv_of(rich, table.name))
        assert all(list(row) == list(made["columns"]) for row in made["rows"])
    assert None in {row["power_w"] for row in body["tables"]["device_samples"]["rows"]}
    assert {FORMULA, HOSTILE} <= {row["name"] for row in body["tables"]["operators"]["rows"]}


def test_json_of_some_tables(rich: Path) -> None:
    body = json.loads(exported(to_json.write, rich, tables=("marks",)))
    assert list(body["tables"]) == ["marks"]
    assert body["tables"]["marks"]["rows"][-1]["value"] == FORMULA


def test_a_stretch_holds_what_lies_in_it(rich: Path) -> None:
    rows = csv_of(rich, "steps")
    first, last = rows[100], rows[109]
    first_ns, end_ns = int(first["start_ns"]), int(last["start_ns"]) + 1
    stretch = Stretch(first_ns, end_ns)
    found = [row for row in csv_of(rich, "steps", stretch) if row["rank"] == "0"]
    assert found == rows[100:110]
    for table in ("device_samples", "host_samples", "marks"):
        times = [int(row["at_ns"]) for row in csv_of(rich, table, stretch)]
        every = [int(row["at_ns"]) for row in csv_of(rich, table)]
        assert times == [at for at in every if first_ns <= at < end_ns]


def test_output_is_lines_as_a_terminal_left_them(rich: Path) -> None:
    rows = csv_of(rich, "log")
    texts = [row["text"] for row in rows]
    assert "loss 2" in texts
    assert "loss 1" not in texts
    assert "bold <b>\ufffd" in texts
    assert sum(text.count("x") for text in texts if set(text) == {"x"}) == 40_000
    assert max(map(len, texts)) <= 16_384
    assert [row["text"] for row in rows if row["stream"] == "2"] == ["warned"]
    assert texts[-1] == "last"


def test_an_unknown_table_is_told_with_the_known_ones() -> None:
    with pytest.raises(ExportError, match="no table 'stpes'") as error:
        chosen(("stpes",))
    assert "steps" in error.value.next
