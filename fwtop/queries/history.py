"""Series of readings, thinned to as many points as a chart can draw, in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from fwtop.queries.rows import Parameter, fetch, fetch_rows
from fwtop.recording.store import Recording

Sample = TypeVar("Sample")

SPREAD = 2000
"""Readings that a mean is of, at most: half an hour of one a second is exact."""
A_POINT = 16
"""Readings that a point of a long history is of: evenly spread ones, so that the chart of a day is
as cheap as that of an hour. A spike between them does not show until one looks closer."""
DENSE_NS = 2_000_000_000
"""Below this distance between those, all readings are taken."""
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
        columns_of_one = f"SELECT {', '.join((*keys, 'max(at_ns)', *parts))} FROM {table}"
        self._sql = (
            f"{columns_of_one} WHERE at_ns >= ?1 AND at_ns < ?2{keyed}"
            " GROUP BY (at_ns - ?1) / ?3 ORDER BY max(at_ns)"
        )
        self._ends_sql = (
            f"SELECT (SELECT min(at_ns) FROM {table} WHERE at_ns >= ?1 AND at_ns < ?2{keyed}),"
            f" (SELECT max(at_ns) FROM {table} WHERE at_ns >= ?1 AND at_ns < ?2{keyed})"
            " WHERE ?3 IS NULL"
        )
        # Seeks by the primary key: the cost is the same for a day and for a minute of readings.
        self.spread = (
            "WITH RECURSIVE probes(t) AS (SELECT ?1 UNION ALL SELECT t + ?3 FROM probes"
            f" WHERE t + ?3 <= ?2), spread(at) AS (SELECT (SELECT min(at_ns) FROM {table}"
            f" WHERE at_ns >= t AND at_ns <= ?2 AND at_ns < t + ?3{keyed}) FROM probes)"
        )
        of_some = f"{self.spread} {columns_of_one} WHERE at_ns IN (SELECT at FROM spread){keyed}"
        self._mean_sql = f"{of_some} HAVING count(*) > 0"
        self._thinned_sql = (
            f"{of_some} GROUP BY (at_ns - ?1) / (?3 * {A_POINT}) ORDER BY max(at_ns)"
        )

    def fetch(
        self, recording: Recording, start_ns: int, end_ns: int, points: int, *keys: Parameter
    ) -> list[Sample]:
        """At most `points` readings in [start_ns, end_ns), oldest first.

        Where a point has room for far more than `A_POINT` readings, it is of that many.
        """
        length = max(1, -(-(end_ns - start_ns) // max(1, points)))
        part = -(-length // A_POINT)
        if part >= DENSE_NS:
            found = (start_ns, end_ns - 1, part, *keys)
            return fetch_rows(recording, self._model, self._thinned_sql, found)
        return fetch_rows(recording, self._model, self._sql, (start_ns, end_ns, length, *keys))

    def mean(
        self, recording: Recording, start_ns: int, end_ns: int, *keys: Parameter
    ) -> Sample | None:
        """One reading for [start_ns, end_ns): of all readings, or of `SPREAD` of them evenly
        spread where there are more. None if there is none."""
        found = self.spread_of(recording, start_ns, end_ns, *keys)
        rows = fetch_rows(recording, self._model, self._mean_sql, found) if found else []
        return rows[0] if rows else None

    def spread_of(
        self, recording: Recording, start_ns: int, end_ns: int, *keys: Parameter
    ) -> tuple[Parameter, ...] | None:
        """The parameters of `spread` for the readings in [start_ns, end_ns); None without any."""
        ((first, last),) = fetch(recording, self._ends_sql, (start_ns, end_ns, None, *keys))
        if type(first) is not int or type(last) is not int:
            return None
        return (first, last, max(1, -(-(last - first + 1) // SPREAD)), *keys)


def _aggregate(name: str, way: str) -> str:
    if way == "last":
        return name
    if way == "max":
        return f"max({name})"
    return f"CAST(avg({name}) AS INTEGER)" if name.endswith(_INTEGER_SUFFIXES) else f"avg({name})"
