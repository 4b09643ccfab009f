"""Small traces of every format, and what becomes of thousands of damaged copies of them.

Each copy is a window (or a log) or an error in words; never another exception. Some go all the way
through the import to the summary. The mutations are the same in every run.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from fwtop.analysis.window import figures
from fwtop.importer.run import import_traces
from fwtop.importer.trace_files import find
from fwtop.importer.traced_steps import steps
from fwtop.recording.store import open_recording
from fwtop.summary import summarize, to_json
from fwtop.traces import nsys, reader, torch_trace
from fwtop.traces.blocks import Limits
from fwtop.traces.formats import NSYS, TORCH_TRACE, detect
from fwtop.traces.model import TraceError, TraceWindow

CORPUS = Path(__file__).parent / "corpus"
SEEDS = sorted(path.name for path in CORPUS.iterdir())
COPIES = 300
WHOLE_IMPORTS = 25
SMALL = Limits(
    file_bytes=4 << 20, inflated_bytes=4 << 20, header_bytes=1 << 16, event_bytes=1 << 16,
    events=2_000, piece_bytes=900,
)  # fmt: skip
TOKENS = (
    b"NaN", b"-Infinity", b"1e400", b"-1", b"0", b"9223372036854775808", b"-9223372036854775809",
    b"1" * 400, b"null", b"true", b'""', b"{}", b"[]", b'"\\ud800"', b"\x00", b"\xff\xfe", b"\n",
    b"[" * 3_000, b'{"a":' * 3_000, b'"' + b"x" * 70_000 + b'"', b"]", b"}", b",", b'"', b"\\",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x0a\x80\x80\x80\x80\x10",
)  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_a_whole_one_tells_something_and_nothing_is_amiss(tmp_path: Path, name: str) -> None:
    target = tmp_path / "run.fwtop"
    import_traces(find([CORPUS / name]), target)
    with open_recording(target) as recording:
        summary = summarize(recording)
    assert summary.operators.rows or summary.compile.count
    assert not any(finding.code == "trace_damaged" for finding in summary.findings)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_copies_end_in_a_window_or_in_words(tmp_path: Path, name: str) -> None:
    outcomes = {"read": 0, "refused": 0}
    for number, data in _copies(name, COPIES):
        path = tmp_path / f"copy-{number}"
        path.write_bytes(data)
        error = _read(path)
        outcomes["read" if error is None else "refused"] += 1
        if error is not None:
            assert str(path) in str(error)
            assert error.remedy
        path.unlink()
    assert outcomes["read"] > COPIES // 10, outcomes


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_copies_go_all_the_way(tmp_path: Path, name: str) -> None:
    imported = 0
    for number, data in _copies(name, WHOLE_IMPORTS, seed=1):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_bytes(data)
        target = folder / "run.fwtop"
        try:
            import_traces(find([folder / name]), target, keep_bytes=1 << 20)
        except TraceError:
            assert [path.name for path in folder.iterdir()] == [name]
            continue
        with open_recording(target) as recording:
            assert to_json(summarize(recording))
        imported += 1
    assert imported


def _read(path: Path) -> TraceError | None:
    """Read it, and check what it gives; the error, where it is refused."""
    try:
        trace_format = detect(path)
        if trace_format == TORCH_TRACE:
            torch_trace.read(path, SMALL)
        elif trace_format == NSYS:
            for window in nsys.read(path, SMALL):
                _check(window)
        else:
            _check(reader.read(path, trace_format, limits=SMALL))
    except TraceError as error:
        return error
    return None


def _check(trace: TraceWindow) -> None:
    for track in (*trace.tracks, *trace.frames):
        assert track.start_ns == sorted(track.start_ns)
        assert min(track.duration_ns, default=0) >= 0
    found = figures(trace, [])
    assert all(0 <= row.self_ns < 1 << 63 for row in found.operators)
    for step in steps(trace):
        assert step.duration_ns >= 0
        parts = (step.input_ns, step.forward_ns, step.backward_ns, step.optimizer_ns)
        assert all(part is None or 0 <= part <= step.duration_ns for part in parts)


def _copies(name: str, count: int, seed: int = 0) -> list[tuple[int, bytes]]:
    chance = random.Random(f"{name} {seed}")
    whole = (CORPUS / name).read_bytes()
    others = [(CORPUS / other).read_bytes() for other in SEEDS]
    copies = []
    for number in range(count):
        data = whole
        for _ in range(chance.choice((1, 1, 2, 5))):
            data = chance.choice(MUTATIONS)(data, chance, others)
        if chance.random() < 0.2:
            data = gzip.compress(data)
            if chance.random() < 0.5:
                data = _cut(data, chance, others)
        copies.append((number, data))
    return copies


Mutation = Callable[[bytes, random.Random, list[bytes]], bytes]


def _flip(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 3, 20))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _remove(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.choice((1, 8, 200)) :]


def _double(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at : at + chance.choice((1, 30, 400))] * 2 + data[at:]


def _insert(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(TOKENS) + data[at:]


def _replace_number(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    places = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    if not places:
        return data
    at = end = chance.choice(places)
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    return data[:at] + chance.choice(TOKENS) + data[end:]


def _cut(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _splice(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    other = chance.choice(others)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other)) :]


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _remove, _double, _insert, _replace_number, _replace_number, _cut, _splice,
)  # fmt: skip
