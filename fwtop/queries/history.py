"""Series of readings, thinned to as many points as a chart can draw, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from fwtop.queries.rows import Parameter, fetch_rows
from fwtop.recording.store import Recording

Sample = TypeVar("Sample")

_INTEGER_SUFFIXES = ("_bytes", "_hz", "_bytes_per_s", "_processes")


class History(Generic[Sample]):
    """How several readings of one table become one: by column, their `mean`, `max` or `last`.

    `keys` are the columns that name a series (they come before `at_ns` in the model); `columns`
    follow `at_ns`, in the model's order. One table may not have both `max` and `last`: SQLite takes
    a bare column from the row of the largest `at_ns` only where that is the only max() or min()
    (https://sqlite.org/lang_select.html#bareagg).
    """

    def __init__(
        self, table: str, model: type[Sample], keys: Sequence[str], columns: Mapping[str, str]
    ) -> None:
        assert not {"max", "last"} <= set(columns.values()), "see the class's docstring"
        self._model = model
        self.names = ", ".join((*keys, "at_ns", *columns))
        keyed = "".join(f" AND {key} = ?{position + 4}" for position, key in enumerate(keys))
        parts = (_aggregate(name, way) for name, way in columns.items())
        self._sql = (
            f"SELECT {', '.join((*keys, 'max(at_ns)', *parts))} FROM {table}"
            f" WHERE at_ns >= ?1 AND at_ns < ?2{keyed}"
            " GROUP BY (at_ns - ?1) / ?3 ORDER BY max(at_ns)"
        )

    def fetch(
        self, recording: Recording, start_ns: int, end_ns: int, points: int, *keys: Parameter
    ) -> list[Sample]:
        """At most `points` readings in [start_ns, end_ns), oldest first."""
        length = max(1, -(-(end_ns - start_ns) // max(1, points)))
        return fetch_rows(recording, self._model, self._sql, (start_ns, end_ns, length, *keys))


def _aggregate(name: str, way: str) -> str:
    if way == "last":
        return name
    if way == "max":
        return f"max({name})"
    return f"CAST(avg({name}) AS INTEGER)" if name.endswith(_INTEGER_SUFFIXES) else f"avg({name})"
