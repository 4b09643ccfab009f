"""Whatever is in a TORCH_TRACE log: what is whole of it, or a TraceError, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwtop.importer.compile_log import read as read_kept
from fwtop.importer.trace_files import TraceFile
from fwtop.traces.blocks import Limits
from fwtop.traces.model import TraceError
from fwtop.traces.torch_trace import CompileLog, read
from tests.traces.torch_logs import compiled, log, record

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["str", "dynamo_start", "chromium_event", "artifact", "compilation_metrics", "rank",
     "has_payload", "frame_id", "frame_compile_id", "compiled_autograd_id", "attempt"]
)  # fmt: skip
damage = st.one_of(
    st.binary(max_size=60).map(lambda junk: junk.replace(b"\n", b"").replace(b"\t", b"") + b"\n"),
    st.dictionaries(kinds, json_values, max_size=4).map(
        lambda metadata: record(metadata, json.dumps(metadata, default=str)).encode()
    ),
    st.integers(0, 300).map(lambda cut: compiled().encode()[:cut] + b"\n"),
    st.binary(max_size=40).map(lambda junk: b"\t" + junk.replace(b"\n", b"") + b"\n"),
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def _read(folder: Path, data: bytes) -> CompileLog | None:
    path = folder / "t.log"
    path.write_bytes(data)
    file = TraceFile(path, "torch_trace", len(data), None, "t.log", None)
    try:
        kept = read_kept(file)
        found = read(path, Limits(event_bytes=1 << 12))
    except TraceError as error:
        if str(path) not in str(error):
            raise
        return None
    for event in kept.compiles:
        assert event.duration_ns is None or 0 <= event.duration_ns < 1 << 63
        assert event.line is None or 0 <= event.line < 1 << 63
        assert event.name.encode() is not None
    return found


@given(st.lists(damage, max_size=6))
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_around_damage(folder: Path, junk: list[bytes]) -> None:
    parts = [compiled(number + 50, number * 90_000).encode() for number in range(len(junk) + 1)]
    data = log() + parts[0] + b"".join(
        one + part for one, part in zip(junk, parts[1:], strict=True)
    )  # fmt: skip
    found = _read(folder, data)
    assert found is not None
    whole = {event.compile_id for event in found.events if event.kind == "compile"}
    assert {f"{number + 50}/0" for number in range(len(parts))} <= whole


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_random_bytes(folder: Path, junk: bytes) -> None:
    _read(folder, junk)
    _read(folder, b"V1206 15:24:45.403000 4 a.py:1] " + junk)


@given(st.integers(0, 2_000))
@settings(deadline=None)
def test_cut_anywhere(folder: Path, length: int) -> None:
    _read(folder, log(compiled(), compiled(1, 90_000))[:length])


@given(st.dictionaries(st.sampled_from(["name", "ts", "ph", "args"]), json_values))
@settings(deadline=None)
def test_chromium_events_of_any_shape(folder: Path, payload: dict[str, Any]) -> None:
    text = json.dumps(payload, indent=0)
    ids = {"frame_id": 0, "frame_compile_id": 0}
    found = _read(folder, log(record({"chromium_event": {}, **ids}, text), compiled(7)))
    assert found is not None
    assert "7/0" in {event.compile_id for event in found.events}
