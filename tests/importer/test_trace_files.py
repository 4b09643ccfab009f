"""Which files make one run, and whose each is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from fwtop.importer.trace_files import find, rank_of
from fwtop.traces.model import TraceError
from tests.traces.torch_logs import compiled, log
from tests.traces.trace_files import document, row
from tests.traces.xplane_files import environment, space

KINETO = json.dumps(document([row("aten::add", 1, 1)])).encode()


def _make(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("rank_3.json.gz", 3),
        ("trace_rank12.json", 12),
        ("trace-rank-0.pt.trace.json", 0),
        ("dedicated_log_torch_trace_rank_7_abc.log", 7),
        ("rank5/trace.json", 5),
        ("frank3.json", None),
        ("trace.json", None),
        ("rank_99999999.json", None),
    ],
)
def test_ranks_in_names(name: str, rank: int | None) -> None:
    assert rank_of(Path("run") / name) == rank


def test_a_folder_of_ranks(tmp_path: Path) -> None:
    _make(tmp_path, **{
        "rank_1.json.gz": gzip.compress(KINETO),
        "rank_0.json": KINETO,
        "logs/dedicated_log_torch_trace_rank_0_x.log": log(compiled()),
        "notes.txt": b"hello",
        ".hidden/rank_9.json": KINETO,
    })  # fmt: skip
    found = find([tmp_path])
    assert [(file.path.name, file.format, file.rank) for file in found.files] == [
        ("dedicated_log_torch_trace_rank_0_x.log", "torch_trace", 0),
        ("rank_0.json", "kineto", 0),
        ("rank_1.json.gz", "kineto", 1),
    ]
    assert found.left_out == ()


def test_tensorboard_s_workers(tmp_path: Path) -> None:
    _make(tmp_path, **{
        "gpu-3_4711.1718000000000000000.pt.trace.json": KINETO,
        "gpu-3_4711.1718000009999999999.pt.trace.json": KINETO,
        "gpu-3_4712.1718000000000000001.pt.trace.json": KINETO,
    })  # fmt: skip
    workers = [(file.worker, file.worker_pid) for file in find([tmp_path]).files]
    assert workers == [("gpu-3_4711", 4711), ("gpu-3_4711", 4711), ("gpu-3_4712", 4712)]


def test_a_log_folder_s_newest_capture_with_all_its_hosts(tmp_path: Path) -> None:
    plane = space(environment())
    profile = "logs/plugins/profile"
    _make(tmp_path, **{
        f"{profile}/2024_01_01_00_00_00/a.xplane.pb": plane,
        f"{profile}/2024_02_01_00_00_00/a.xplane.pb": plane,
        f"{profile}/2024_02_01_00_00_00/b.xplane.pb": plane,
        f"{profile}/2024_02_01_00_00_00/a.trace.json.gz": gzip.compress(KINETO),
    })  # fmt: skip
    found = find([tmp_path / "logs"])
    assert [file.path.name for file in found.files] == ["a.xplane.pb", "b.xplane.pb"]
    assert {file.path.parent.name for file in found.files} == {"2024_02_01_00_00_00"}
    assert found.left_out == ("1 earlier capture: name its folder to open it",)
    older = find([tmp_path / profile / "2024_01_01_00_00_00"])
    assert [file.path.name for file in older.files] == ["a.xplane.pb"]


def test_the_same_file_twice_is_one(tmp_path: Path) -> None:
    _make(tmp_path, **{"t.json": KINETO})
    (tmp_path / "link.json").symlink_to(tmp_path / "t.json")
    paths = [tmp_path / "t.json", tmp_path / "t.json", tmp_path / "link.json"]
    assert len(find(paths).files) == 1


def test_what_in_a_folder_is_no_trace_is_told_and_named_files_must_be_one(tmp_path: Path) -> None:
    _make(tmp_path, **{"t.json": KINETO, "empty.json": b""})
    assert find([tmp_path]).left_out == ("empty.json: the file is empty",)
    with pytest.raises(TraceError, match="empty"):
        find([tmp_path / "t.json", tmp_path / "empty.json"])


def test_a_folder_without_a_trace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no trace is in this folder"):
        find([tmp_path])
