"""Tables page by page: every row once, in order, whatever the page's length."""

from __future__ import annotations

import sqlite3
from dataclasses import fields, replace
from pathlib import Path

import pytest

from fwtop.queries import pages
from fwtop.queries.pages import Paged
from fwtop.recording.store import open_recording
from tests.export.rich import build

TABLES = {name: table for name, table in vars(pages).items() if isinstance(table, Paged)}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("pages") / "run.fwtop", steps=60)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("length", [1, 3, 100_000])
def test_every_row_once_in_the_key_s_order(path: Path, name: str, length: int) -> None:
    table = replace(TABLES[name], rows=length)
    with open_recording(path) as recording:
        found = [row for page in pages.pages(recording, table) for row in page]
        whole = [row for page in pages.pages(recording, TABLES[name]) for row in page]
        assert pages.count(recording, table) == len(found)
        counted = recording.connection.execute(f"SELECT count(*) FROM {table.source}").fetchone()
    assert found == whole
    assert len(found) == counted[0]
    keys = [tuple(getattr(row, field.strip()) for field in table.key_fields.split(","))
            for row in found]  # fmt: skip
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_the_tables_have_rows_to_prove_it(path: Path) -> None:
    with open_recording(path) as recording:
        empty = {name for name, table in TABLES.items() if not pages.count(recording, table)}
    assert empty <= {"OPERATOR_FLOPS"}


def test_the_columns_are_the_recording_s(path: Path) -> None:
    """Every column of the raw tables that pages copy is copied: a new one is not forgotten."""
    of = {"STEPS": "steps", "HOST_SAMPLES": "host_samples", "DEVICE_SAMPLES": "device_samples",
          "MEMORY_SAMPLES": "memory_samples", "COMPILE_EVENTS": "compile_events",
          "DEVICE_STEPS": "device_steps"}  # fmt: skip
    with sqlite3.connect(path) as db:
        for name, table in of.items():
            recorded = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            assert len(fields(TABLES[name].model)) == len(recorded)


@pytest.mark.parametrize(("start_ns", "end_ns"), [(11 * 10**9, 12 * 10**9), (None, 12 * 10**9),
                                                  (12 * 10**9, None)])  # fmt: skip
def test_a_stretch_has_what_reaches_into_it(
    path: Path, start_ns: int | None, end_ns: int | None
) -> None:
    with open_recording(path) as recording:
        every = [row for page in pages.pages(recording, pages.STEPS) for row in page]
        found = [
            row for page in pages.pages(recording, pages.STEPS, start_ns, end_ns) for row in page
        ]
        counts = pages.steps_by_process(recording, start_ns, end_ns)
        assert pages.count(recording, pages.STEPS, start_ns, end_ns) == len(found)
    assert 0 < len(found) < len(every)
    assert found == [
        row for row in every
        if (end_ns is None or row.start_ns < end_ns)
        and (start_ns is None or row.start_ns >= start_ns or row.end_ns > start_ns)
    ]  # fmt: skip
    assert counts == {
        process: sum(row.process_id == process for row in found) for process in (1, 2)
    }
