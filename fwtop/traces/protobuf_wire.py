"""Walks protobuf's wire format field by field, without parsing what the fields hold.

protobuf parses a message as a whole or not at all, and needs many times its bytes. This finds the
fields of a message in place, so that a large one is parsed in parts and a truncated one as far as
it goes. Format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

BYTES = 2
"""Wire type of strings, bytes and messages: a length, then as many bytes."""
VARINT, _FIXED64, _FIXED32 = 0, 1, 5
_LONGEST_VARINT = 10

Field = tuple[int, int, int, int, int]
"""(number, wire type, start with its tag, start of what it holds, end). A last field whose wire
type is -1 is where the walk broke off: a field that runs past the end, or no field at all."""
BROKEN = -1


def fields(data: bytes, at: int, end: int) -> Iterator[Field]:
    """The fields of the message in data[at:end], in order."""
    while at < end:
        start = at
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = _varint(data, start, end)
        wire = tag & 7
        if wire == BYTES and at < end:
            length = data[at]
            at += 1
            if length > 127:
                length, at = _varint(data, at - 1, end)
            if at < 0 or tag < 8:
                yield 0, BROKEN, start, end, end
                return
            stop = at + length
            if stop > end:
                yield tag >> 3, BROKEN, start, at, end
                return
            yield tag >> 3, BYTES, start, at, stop
            at = stop
            continue
        if wire == VARINT:
            held, at = at, _varint(data, at, end)[1]
        elif wire in (_FIXED32, _FIXED64):
            held, at = at, at + (4 if wire == _FIXED32 else 8)
        else:
            at = -1
        if at < 0 or at > end or tag < 8:
            yield 0, BROKEN, start, end, end
            return
        yield tag >> 3, wire, start, held, at


def whole_number(data: bytes, at: int, end: int) -> int:
    """What a field of wire type VARINT holds."""
    return _varint(data, at, end)[0]


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at a place and where it ends; an end of -1 for what is none."""
    value = 0
    if at < 0:
        return 0, -1
    for shift in range(_LONGEST_VARINT):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << (7 * shift)
        if byte < 128:
            return value, at
    return 0, -1


def runs(
    data: bytes, at: int, end: int, apart: int, most_bytes: int, most_fields: int
) -> Iterator[tuple[int, int, int]]:
    """The message cut for parsing: (0, start, end) for a run of whole fields of about `most_bytes`
    at most, (`apart`, start, end) for what each field of that number holds.

    (BROKEN, start, end) comes last where the message is damaged or has more than `most_fields`
    fields: the run from there to the end was not walked. A field numbered `apart` that runs past
    the end is given as well, as far as it goes, before that.
    """
    begun = stop = at
    for left, (number, wire, start, held, stop) in enumerate(fields(data, at, end)):
        if wire == BROKEN or left >= most_fields:
            if start > begun:
                yield 0, begun, start
            if wire == BROKEN and number == apart and held < stop:
                yield apart, held, stop
            yield BROKEN, start, end
            return
        if number == apart and wire == BYTES:
            if start > begun:
                yield 0, begun, start
            yield apart, held, stop
            begun = stop
        elif stop - begun > most_bytes:
            if start > begun:
                yield 0, begun, start
            begun = start
    if stop > begun:
        yield 0, begun, stop
