"""Where an export goes: written beside its place under another name, and renamed when it is whole.

So whoever interrupts it, kills it or fills the disk finds the old file, or none, never half of one.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from fwtop.export.manifest import MANIFEST
from fwtop.export.source import ExportError

GZIP_LEVEL = 5
_REMEDY = "name another place with -o, or replace what is there with --force"


@contextmanager
def new_file(path: Path, replace: bool) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` in the end; compressed where that ends in `.gz`.

    A pipe or a device that exists is written to as it is. Raises ExportError if something is there
    and may not be replaced; leaves nothing behind if what runs within raises.
    """
    if _is_stream(path):
        with path.open("wb") as stream:
            yield stream
        return
    _check_file(path, replace)
    part = _part(path)
    try:
        with part.open("xb") as file:
            if path.name.endswith(".gz"):
                with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        _check_file(path, replace)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink()  # where it did not become the file


@contextmanager
def new_folder(path: Path, replace: bool) -> Iterator[Path]:
    """An empty folder that becomes `path` in the end.

    Replaces nothing but an empty folder, or one that holds an earlier export and nothing else.
    """
    _check_folder(path, replace)
    part = _part(path)
    try:
        part.mkdir()
        yield part
        _check_folder(path, replace)
        if path.exists():
            old = _part(path, "old")
            path.rename(old)
            part.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # where it did not become the folder


def _part(path: Path, ending: str = "part") -> Path:
    """A hidden name beside the place, on the same file system, so that renaming is at once."""
    return path.absolute().with_name(f".{path.name[:200]}.{os.getpid()}.{ending}")


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _check_file(path: Path, replace: bool) -> None:
    if path.is_dir():
        raise ExportError(f"{path} is a folder", "name a file with -o")
    if os.path.lexists(path) and not replace:
        raise ExportError(f"{path} exists already", _REMEDY)


def _check_folder(path: Path, replace: bool) -> None:
    if not os.path.lexists(path):
        return
    if not path.is_dir() or path.is_symlink():
        raise ExportError(f"{path} exists already, and is no folder", "name another with -o")
    found = {entry.name for entry in path.iterdir()}
    if not found:
        return
    if not replace:
        raise ExportError(f"{path} exists already", _REMEDY)
    strange = found - _listed(path / MANIFEST)
    if strange:
        raise ExportError(
            f"{path} holds what no export wrote: {', '.join(sorted(strange)[:3])}",
            "only an earlier export is replaced; name another folder with -o",
        )


def _listed(manifest: Path) -> set[str]:
    """What an earlier export says it wrote."""
    try:
        body = json.loads(manifest.read_bytes())
        return {MANIFEST, *(str(name) for name in body["files"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
