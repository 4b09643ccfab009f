"""Tells a trace's format from its first bytes, never from its name.

Owns the signs by which each format is known; it reads no more than `_HEAD_BYTES` and inflates no
more than as much.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from fwtop.traces.model import TraceError
from fwtop.traces.protobuf_wire import BYTES, fields

KINETO = "kineto"
XPLANE = "xplane"
TORCH_TRACE = "torch_trace"
NSYS = "nsys"
RECORDING = "recording"
"""No trace: a recording of fwtop's own."""

WHAT_IS_READ = (
    "fwtop reads its own recordings, Kineto and Chrome traces (.json, .json.gz), *.xplane.pb, "
    "TORCH_TRACE logs and Nsight Systems' SQLite exports."
)
_HEAD_BYTES = 1 << 16
_GZIP = b"\x1f\x8b"
_SQLITE = b"SQLite format 3\x00"
_APPLICATION_ID = slice(68, 72)
_OURS = b"fwtp"
_LOG_LINE = re.compile(rb"^[VDIWE]\d{4} \d\d:\d\d:\d\d[.\d]* \d+ ", re.MULTILINE)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STRANGERS = (
    (b"PK\x03\x04", "a ZIP archive", "Unpack it, and name what is in it."),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "Unpack it first: zstd -d"),
    (b"BZh", "compressed with bzip2", "Unpack it first: bunzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz", "Unpack it first: unxz"),
    (b"\x80\x02", "a Python pickle", f"fwtop opens no pickles. {WHAT_IS_READ}"),
    (b"\x80\x04", "a Python pickle", f"fwtop opens no pickles. {WHAT_IS_READ}"),
)
_SPACE_FIELDS = frozenset(range(1, 5))
"""Numbers of XSpace's fields: planes, errors, warnings, hostnames."""


def detect(path: Path) -> str:
    """The format of a file. Raises TraceError, in words, for one that is unknown or unreadable."""
    if path.suffix in (".nsys-rep", ".qdrep"):
        what = "it is an Nsight Systems report, which only nsys itself reads"
        raise TraceError(path, what, f"Export it: nsys export --type sqlite {path.name}")
    head = _head(path)
    if not head:
        raise TraceError(path, "the file is empty", "Check whether the profiler wrote it whole.")
    if head.startswith(_GZIP):
        head = _inflated(path, head)
    if head.startswith(_SQLITE):
        return RECORDING if head[_APPLICATION_ID] == _OURS else NSYS
    for sign, what, remedy in _STRANGERS:
        if head.startswith(sign):
            raise TraceError(path, f"it is {what}", remedy)
    text = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if text[:1] in (b"{", b"["):
        return KINETO
    if _LOG_LINE.search(head):
        return TORCH_TRACE
    if _begins_a_space(head):
        return XPLANE
    raise TraceError(path, "the format is unknown", WHAT_IS_READ)


def _head(path: Path) -> bytes:
    try:
        if not path.exists():
            raise TraceError(path, "there is no such file", "Check the path.")
        if not path.is_file():
            raise TraceError(path, "it is no regular file", "Name a file, or a folder of files.")
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        what = f"it cannot be read ({error.strerror})"
        raise TraceError(path, what, "Check path and permissions.") from error


def _inflated(path: Path, head: bytes) -> bytes:
    try:
        inflated = zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    except zlib.error as error:
        what = f"the gzip stream is damaged at its start ({error})"
        raise TraceError(path, what, "Copy the file again.") from error
    if not inflated:
        raise TraceError(path, "the gzip stream is empty", "Copy the file again.")
    return inflated


def _begins_a_space(head: bytes) -> bool:
    """Whether it may be an XSpace: its first field is one of its own, and is bytes or cut off."""
    first = next(fields(head, 0, len(head)), None)
    if first is None or first[0] not in _SPACE_FIELDS or head[0] & 7 != BYTES:
        return False
    number, _, _, held, end = first
    if number != 1 or held >= end:
        return True
    inner = next(fields(head, held, end), None)  # a plane begins with its id or its name
    return inner is not None and inner[0] in range(1, 8)
