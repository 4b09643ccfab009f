"""Where results go: whole or not at all, and nothing of anybody else's is ever replaced."""

from __future__ import annotations

import gzip
import json
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from fwtop.export.manifest import MANIFEST
from fwtop.export.place import new_file, new_folder
from fwtop.export.source import ExportError

Opening = Callable[[Path, bool], AbstractContextManager[Any]]


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with new_file(path, False) as file:
        file.write(b"{}")
        assert not path.exists()
    assert path.read_bytes() == b"{}"
    assert names(tmp_path) == {"out.json"}


def test_a_name_in_gz_is_compressed_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.json.gz", "b.json.gz"):
        with new_file(tmp_path / name, False) as file:
            file.write(b"hello" * 100)
    assert gzip.decompress((tmp_path / "a.json.gz").read_bytes()) == b"hello" * 100
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


class Stopped(BaseException):
    pass


def fail_within(opening: Opening, path: Path, replace: bool, error: type[BaseException]) -> None:
    with opening(path, replace) as out:
        if isinstance(out, Path):
            (out / "steps.csv").write_text("half")
        else:
            out.write(b"half")
        raise error("no")


@pytest.mark.parametrize("opening", [new_file, new_folder])
@pytest.mark.parametrize("error", [Stopped, OSError, ExportError])
def test_what_fails_leaves_nothing(
    tmp_path: Path, opening: Opening, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        fail_within(opening, tmp_path / "out.gz", False, error)
    assert names(tmp_path) == set()


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(Stopped):
        fail_within(new_file, path, True, Stopped)
    assert path.read_text() == "old"
    assert names(tmp_path) == {"out.json"}


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    with pytest.raises(ExportError, match="exists already") as error, new_file(path, False):
        pytest.fail("it was opened")
    assert "--force" in error.value.next
    with new_file(path, True) as file:
        file.write(b"new")
    assert path.read_text() == "new"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    opened = new_file(path, False)
    opened.__enter__().write(b"ours")
    path.write_text("theirs")
    with pytest.raises(ExportError, match="exists already"):
        opened.__exit__(None, None, None)
    assert path.read_text() == "theirs"
    assert names(tmp_path) == {"out.json"}


def test_a_link_is_replaced_and_not_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    path = tmp_path / "link"
    path.symlink_to("precious")
    with pytest.raises(ExportError, match="exists already"), new_file(path, False):
        pytest.fail("it was opened")
    with new_file(path, True) as file:
        file.write(b"new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert not path.is_symlink()


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is a folder"), new_file(tmp_path, True):
        pytest.fail("it was opened")


def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    with new_file(path, False) as file:
        file.write(b"through")
    reader.join(30)
    assert read == [b"through"]
    assert path.is_fifo()


def export_to(folder: Path, replace: bool, *files: str) -> None:
    with new_folder(folder, replace) as made:
        for name in files:
            (made / name).write_text(name)
        (made / MANIFEST).write_text(json.dumps({"files": list(files)}))


def test_an_earlier_export_is_replaced_when_asked_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    export_to(folder, False, "steps.csv", "log.csv")
    with pytest.raises(ExportError, match="exists already"):
        export_to(folder, False, "steps.csv")
    export_to(folder, True, "steps.csv")
    assert names(folder) == {"steps.csv", MANIFEST}
    (folder / "thesis.tex").write_text("years")
    with pytest.raises(ExportError, match=r"thesis\.tex"):
        export_to(folder, True, "steps.csv")
    assert (folder / "thesis.tex").read_text() == "years"
    assert names(tmp_path) == {"out"}


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export_to(tmp_path / "out", False, "steps.csv")
    assert names(tmp_path / "out") == {"steps.csv", MANIFEST}


@pytest.mark.parametrize("manifest", [b"", b"[]", b'{"files": 3}', b'{"files": [{}]}', b"\xff",
                                      b"[" * 100_000])  # fmt: skip
def test_a_strange_manifest_protects_what_is_there(tmp_path: Path, manifest: bytes) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).write_bytes(manifest)
    (tmp_path / "out" / "photo.jpg").write_text("kept")
    with pytest.raises(ExportError, match=r"photo\.jpg|no export wrote"):
        export_to(tmp_path / "out", True, "steps.csv")
    assert (tmp_path / "out" / "photo.jpg").read_text() == "kept"
