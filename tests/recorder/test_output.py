"""Reading the shim's segments: torn ends, many segments, and going on after a recorder's death."""

from __future__ import annotations

from pathlib import Path

import pytest

from fwtop.launch import shim_output as shim_module
from fwtop.launch.shim_output import Spool
from fwtop.recorder.output import OutputReader
from fwtop.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(shim_module, "SEGMENT_BYTES", 1000)
    return RunFolder(tmp_path)


def segments(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.path.glob("output-*"))


def test_all_of_it_in_order(folder: RunFolder) -> None:
    spool, reader = Spool(str(folder.path)), OutputReader(folder)
    expected = {1: b"", 2: b""}
    found = {1: b"", 2: b""}
    for number in range(500):
        stream = 1 + number % 3 // 2
        data = b"%d\n" % number * (number % 7)
        spool.add(stream, data)
        expected[stream] += data
        if number % 40 == 0:
            for chunk in reader.read():
                found[chunk.stream] += chunk.data
            reader.committed()
    for chunk in reader.read():
        found[chunk.stream] += chunk.data
    reader.committed()
    assert found == expected
    assert len(segments(folder)) == 1


def test_new_reader_goes_on_where_the_recording_ends(folder: RunFolder) -> None:
    spool, reader = Spool(str(folder.path)), OutputReader(folder)
    for number in range(100):
        spool.add(1, b"a%03d" % number)
    first = reader.read()
    reader.committed()
    for number in range(100, 200):
        spool.add(2, b"b%03d" % number)
    reader.read()  # and dies before it is committed
    again = OutputReader(folder, max(chunk.id for chunk in first))
    rest = again.read()
    assert b"".join(c.data for c in rest) == b"".join(b"b%03d" % n for n in range(100, 200))
    ids = [chunk.id for chunk in (*first, *rest)]
    assert ids == sorted(set(ids))


def test_half_a_frame_waits_for_its_rest(folder: RunFolder) -> None:
    spool, reader = Spool(str(folder.path)), OutputReader(folder)
    spool.add(1, b"whole")
    spool.add(1, b"half of this")
    (name,) = segments(folder)
    path = folder.path / name
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    assert b"".join(c.data for c in reader.read()) == b"whole"
    path.write_bytes(data)
    assert b"".join(c.data for c in reader.read()) == b"half of this"
    assert reader.read() == []


def test_output_that_nobody_reads_is_bounded(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shim_module, "SPOOL_SEGMENTS", 4)
    spool = Spool(str(folder.path))
    for _ in range(100):
        spool.add(1, b"x" * 500)
    assert len(segments(folder)) == 4
    assert spool.bytes_lost > 40_000
    reader = OutputReader(folder)
    kept = sum(len(chunk.data) for chunk in reader.read())
    assert kept + spool.bytes_lost == 50_000
    reader.committed()
    spool.add(1, b"room again")
    assert b"".join(c.data for c in reader.read()) == b"room again"


def test_failed_write_is_counted_and_leaves_no_torn_frame(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(str(folder.path))
    spool.add(1, b"before")
    real = shim_module.os.write
    calls: list[int] = []

    def full(descriptor: int, data: memoryview) -> int:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:7])

    monkeypatch.setattr(shim_module.os, "write", full)
    spool.add(1, b"lost")
    monkeypatch.setattr(shim_module.os, "write", real)
    spool.add(1, b"after")
    assert spool.bytes_lost == 4
    assert b"".join(c.data for c in OutputReader(folder).read()) == b"beforeafter"
