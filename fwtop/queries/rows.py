"""From SQL rows to frozen dataclasses, checked on the way; knows no table.

A recording may come from elsewhere, be damaged, or be older than this fwtop, and SQLite keeps
whatever type was written. So each value is checked against the field that it goes to, once a
combination of types, and everything that is wrong becomes a RecordingError that names the file.
"""

from __future__ import annotations

import json
import sqlite3
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, Generic, TypeVar

from fwtop.recording.store import Recording, RecordingError

Row = TypeVar("Row")
Parameter = str | bytes | int | float | None


def fetch(
    recording: Recording, sql: str, parameters: Sequence[Parameter] = ()
) -> list[tuple[Any, ...]]:
    """All rows of a query. Raises RecordingError for whatever SQLite complains about."""
    try:
        return recording.connection.execute(sql, parameters).fetchall()
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        raise _explained(recording, error) from error


def fetch_one(
    recording: Recording, sql: str, parameters: Sequence[Parameter] = ()
) -> tuple[Any, ...] | None:
    """The first row of a query, or None."""
    try:
        row: tuple[Any, ...] | None = recording.connection.execute(sql, parameters).fetchone()
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        raise _explained(recording, error) from error
    return row


def fetch_int(recording: Recording, sql: str, parameters: Sequence[Parameter] = ()) -> int | None:
    """The one integer that a query yields; None for NULL or no row."""
    row = fetch_one(recording, sql, parameters)
    if row is None or row[0] is None:
        return None
    if type(row[0]) is not int:
        raise damaged(recording, f"{row[0]!r:.40} where a number should be")
    return row[0]


def fetch_rows(
    recording: Recording, model: type[Row], sql: str, parameters: Sequence[Parameter] = ()
) -> list[Row]:
    """A query's rows as `model`, whose fields are the columns in their order."""
    shape = _shape(model)
    rows = fetch(recording, sql, parameters)
    try:
        return [shape.row(values) for values in rows]
    except (TypeError, ValueError, RecursionError) as error:
        raise damaged(recording, f"{model.__name__}: {error}") from error


def damaged(recording: Recording, what: str) -> RecordingError:
    """The error for content that no recorder of fwtop's writes."""
    return RecordingError(
        f"{recording.path} is damaged: {what}",
        "copy it again from where it was made; `sqlite3 FILE .recover` saves what is whole",
    )


def id_list(ids: Sequence[int]) -> str:
    """Ids for `IN (SELECT value FROM json_each(?))`: any number of them."""
    return json.dumps(list(ids))


def _explained(
    recording: Recording, error: sqlite3.Error | UnicodeDecodeError | OverflowError
) -> RecordingError:
    # An overflow is a moment that was worked out of the recording's own, and that no run has.
    text = str(error)
    if text.startswith("no such"):
        return RecordingError(
            f"{recording.path} was written by another version of fwtop: {text}",
            "open it with the fwtop that recorded it, or with the newest one",
        )
    if "locked" in text or "busy" in text:
        return RecordingError(
            f"{recording.path} is busy: {text}", "try again; another program may be writing to it"
        )
    if isinstance(error, sqlite3.ProgrammingError):
        return RecordingError(f"{recording.path} has been closed: {text}", "open it again")
    if isinstance(error, sqlite3.OperationalError) and "disk I/O" in text:
        return RecordingError(f"{recording.path} cannot be read: {text}", "check the disk")
    return damaged(recording, text)


class _Shape(Generic[Row]):
    """How a model's fields come out of a row: the types allowed, and what must be converted."""

    def __init__(self, model: type[Row]) -> None:
        self._model = model
        hints = typing.get_type_hints(model)
        names = [field.name for field in fields(model)]  # type: ignore[arg-type]
        self._names = names
        self._allowed: list[frozenset[type]] = []
        self._converters: list[tuple[int, Callable[[Any], Any]]] = []
        for position, name in enumerate(names):
            allowed, converter = _column(hints[name])
            self._allowed.append(allowed)
            if converter is not None:
                self._converters.append((position, converter))
        self._good: set[tuple[type, ...]] = set()

    def row(self, values: tuple[Any, ...]) -> Row:
        """The row as the model; raises TypeError or ValueError."""
        kinds = tuple(map(type, values))
        if kinds not in self._good:
            self._check(values, kinds)
            self._good.add(kinds)
        if not self._converters:
            return self._model(*values)
        parts = list(values)
        for position, convert in self._converters:
            parts[position] = convert(parts[position])
        return self._model(*parts)

    def _check(self, values: tuple[Any, ...], kinds: tuple[type, ...]) -> None:
        if len(values) != len(self._names):
            raise TypeError(f"{len(values)} columns for {len(self._names)} fields")
        for name, allowed, kind in zip(self._names, self._allowed, kinds, strict=True):
            if kind not in allowed:
                found = "nothing" if kind is type(None) else kind.__name__
                raise TypeError(f"{name} holds {found}")


_shapes: dict[type, _Shape[Any]] = {}


def _shape(model: type[Row]) -> _Shape[Row]:
    if model not in _shapes:
        _shapes[model] = _Shape(model)
    return _shapes[model]


def _column(hint: Any) -> tuple[frozenset[type], Callable[[Any], Any] | None]:
    """The SQLite types that fit a field, and the conversion that it needs."""
    if hint == tuple[float, ...]:
        return frozenset({bytes, type(None)}), _byte_ratios
    if isinstance(hint, types.UnionType):
        (plain,) = [part for part in typing.get_args(hint) if part is not type(None)]
        allowed, convert = _column(plain)
        return allowed | {type(None)}, None if convert is None else partial(_unless_none, convert)
    if hint is bool:
        return frozenset({int}), bool
    if hint is float:
        return frozenset({int, float}), None
    if hint in (int, str, bytes):
        return frozenset({hint}), None
    if hint == tuple[str, ...]:
        return frozenset({str}), _json_texts
    return frozenset({str}), _json_object


def _unless_none(convert: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else convert(value)


def _byte_ratios(data: bytes | None) -> tuple[float, ...]:
    """Ratios of a byte each, 0..255; unknown is empty."""
    return tuple(byte / 255 for byte in data or b"")


def _json_texts(text: str) -> tuple[str, ...]:
    parsed = _parsed(text)
    if not isinstance(parsed, list) or not all(isinstance(part, str) for part in parsed):
        raise ValueError("not a JSON list of texts")
    return tuple(parsed)


def _json_object(text: str) -> Mapping[str, Any]:
    parsed = _parsed(text)
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")
    return parsed


def _parsed(text: str) -> Any:
    """JSON, with `?` for lone surrogates: an argument that is no UTF-8 has them, JSON can spell
    them, and no encoder takes them."""
    parsed = json.loads(text)
    if "\\ud" in text.lower():
        parsed = json.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace"))
    return parsed
