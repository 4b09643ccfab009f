"""What a file is, its content says; what is no trace is told in words."""

from __future__ import annotations

import bz2
import gzip
import json
import pickle
import sqlite3
import zipfile
from pathlib import Path

import pytest

from fwtop.traces.formats import KINETO, NSYS, RECORDING, TORCH_TRACE, XPLANE, detect
from fwtop.traces.model import TraceError
from tests.recordings import build
from tests.traces.trace_files import document, row
from tests.traces.xplane_files import PlaneWriter, space

LOG = b'V1206 15:24:45.403000 17 torch/_dynamo/utils.py:1288] {"chromium_event": {}}\n'


def _file(folder: Path, data: bytes, name: str = "anything.bin") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (json.dumps(document([row("a", 1, 1)])).encode(), KINETO),
        (b"\xef\xbb\xbf  {", KINETO),
        (b"\n [", KINETO),
        (LOG, TORCH_TRACE),
        (b"garbage before it\n" + LOG, TORCH_TRACE),
        (space(PlaneWriter("/host:CPU")), XPLANE),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_format_is_known_by_its_content(
    tmp_path: Path, data: bytes, wanted: str, packed: bool
) -> None:
    assert detect(_file(tmp_path, gzip.compress(data) if packed else data)) == wanted


def test_sqlite_is_a_recording_or_another_s(tmp_path: Path) -> None:
    assert detect(build(tmp_path / "run.db", steps=2)) == RECORDING
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (a)")
    assert detect(tmp_path / "other.db") == NSYS


def test_what_is_no_trace_is_told_in_words(tmp_path: Path) -> None:
    archive = tmp_path / "archive.json"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("trace.json", "{}")
    fifo_like = tmp_path / "folder"
    fifo_like.mkdir()
    strangers = {
        archive: "ZIP archive",
        fifo_like: "no regular file",
        tmp_path / "absent.json": "no such file",
        _file(tmp_path, b"", "empty.json"): "empty",
        _file(tmp_path, b"\x7fELF\x02\x01", "elf"): "unknown",
        _file(tmp_path, b"hello", "text"): "unknown",
        _file(tmp_path, pickle.dumps([1]), "memory.pickle"): "pickle",
        _file(tmp_path, bz2.compress(b"{}"), "packed"): "bzip2",
        _file(tmp_path, b"\x1f\x8b\x08broken", "broken.json.gz"): "gzip",
        _file(tmp_path, gzip.compress(b""), "empty.json.gz"): "gzip stream is empty",
        _file(tmp_path, b"whatever", "report.nsys-rep"): "Nsight Systems report",
    }
    for path, words in strangers.items():
        with pytest.raises(TraceError, match=words) as caught:
            detect(path)
        assert str(path) in str(caught.value)
        assert caught.value.remedy.endswith((".", "FILE", "-d", "bunzip2", "unxz", "rep")), path


def test_a_gzip_bomb_is_told_from_its_first_bytes(tmp_path: Path) -> None:
    path = _file(tmp_path, gzip.compress(b"{" + b" " * (64 << 20)))
    assert path.stat().st_size < 1 << 17
    assert detect(path) == KINETO
