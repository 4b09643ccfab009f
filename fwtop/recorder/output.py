"""Reads the script's output from the shim's segments.

Owns the position: a chunk's id in table `log` is the place in the segments where it ends (segment
in the upper half, offset in the lower), so what has been committed says where to go on, also for
a new recorder after the earlier one's death. Writes nothing but the removal of read segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fwtop.launch.shim_output import FRAME
from fwtop.run_folder import RunFolder

READ_BYTES = 8 << 20
"""Read at most in one go, so that a flood of output does not keep the recorder from the rest."""
MERGE_NS = 20_000_000
MERGE_BYTES = 1 << 16
"""Frames of one stream this near are one row."""
_OFFSET_BITS = 32


@dataclass(frozen=True, slots=True)
class Chunk:
    """A row of `log`; `at_ns` is monotonic."""

    id: int
    at_ns: int
    stream: int
    data: bytes


class OutputReader:
    """Goes through the segments from where the recording ends."""

    def __init__(self, folder: RunFolder, last_id: int | None = None) -> None:
        self._folder = folder
        self._segment = 0 if last_id is None else last_id >> _OFFSET_BITS
        self._offset = 0 if last_id is None else last_id & ((1 << _OFFSET_BITS) - 1)
        self._done: list[Path] = []

    def read(self) -> list[Chunk]:
        """What is new, up to READ_BYTES of it."""
        chunks: list[Chunk] = []
        budget = READ_BYTES
        while budget > 0:
            # Looked up before the read: if there is a later one, what is read is this one whole.
            later = self._path(self._segment + 1).exists()
            frames = list(self._frames())
            budget -= sum(len(frame.data) for frame in frames) + 1
            chunks.extend(_merged(frames))
            if frames:
                continue
            if not later:
                break
            self._done.append(self._path(self._segment))
            self._segment += 1
            self._offset = 0
        return chunks

    def committed(self) -> None:
        """All that was read is in the recording: remove the segments that are through."""
        for path in self._done:
            path.unlink(missing_ok=True)
        self._done.clear()

    def _path(self, number: int) -> Path:
        return self._folder.path / f"output-{number:06d}"

    def _frames(self) -> Iterator[Chunk]:
        try:
            with self._path(self._segment).open("rb") as file:
                file.seek(self._offset)
                data = file.read(READ_BYTES)
        except OSError:
            return
        at = 0
        while at + FRAME.size <= len(data):
            when, stream, length = FRAME.unpack_from(data, at)
            end = at + FRAME.size + length
            if end > len(data):
                break
            self._offset += end - at
            number = self._segment << _OFFSET_BITS | self._offset
            yield Chunk(number, when, stream, data[at + FRAME.size : end])
            at = end


def _merged(frames: list[Chunk]) -> Iterator[Chunk]:
    """Neighbours as one, with the time of the first and the id of the last."""
    parts: list[Chunk] = []
    size = 0
    for frame in frames:
        near = (
            parts
            and frame.stream == parts[0].stream
            and frame.at_ns - parts[0].at_ns <= MERGE_NS
            and size + len(frame.data) <= MERGE_BYTES
        )
        if parts and not near:
            yield _join(parts)
            parts, size = [], 0
        parts.append(frame)
        size += len(frame.data)
    if parts:
        yield _join(parts)


def _join(parts: list[Chunk]) -> Chunk:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return Chunk(parts[-1].id, first.at_ns, first.stream, b"".join(part.data for part in parts))
