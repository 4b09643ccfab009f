"""The sole writer of a recording: one connection, batched transactions.

Rows pend in memory and go in together. A failed transaction (a full disk, mostly) is tried again
later, and what pends is bounded: the oldest rows go first, and are counted. Training is never
concerned.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fwtop.recorder import statements as sql
from fwtop.recorder.rollups import Rollups, Row
from fwtop.recording.schema import ROLLUP_NS

if TYPE_CHECKING:
    from fwtop.analysis.results import WindowFigures
    from fwtop.recorder.traced import DecodedWindow

PENDING_ROWS = 20_000
"""More than this is written at once."""
MAX_PENDING_ROWS = 200_000
"""Kept while nothing can be written: about 100 MB of Python objects at most."""
RETRY_S = 2.0
LEAVE_WAL_S = 5.0
MAX_OPERATOR_IDS = 20_000


class Finish(NamedTuple):
    """How the recording was left."""

    stored: bool
    """The run's last state is in it."""
    plain: bool
    """It is one plain file; False if a reader kept it in WAL mode."""


class Writer:
    """Owns the connection of the recording; used by one thread."""

    def __init__(self, connection: sqlite3.Connection, trace_budget_bytes: int) -> None:
        self.connection = connection
        self.rollups = Rollups(self._load_rollup, ROLLUP_NS)
        self.rows_lost = 0
        self.bad_rows = 0
        self.failure: str | None = None
        """Why the last transaction failed; None when it went well."""
        self._trace_budget_bytes = trace_budget_bytes
        self._pending: dict[str, list[Row]] = {}
        self._count = 0
        self._windows: list[DecodedWindow] = []
        self._operator_ids: dict[str, int] = {}
        self._retry_at = 0.0

    # --- what is to be written ------------------------------------------------------------------

    def add(self, statement: str, *rows: Row) -> None:
        """Queue rows for one of `statements`."""
        self._pending.setdefault(statement, []).extend(rows)
        self._count += len(rows)

    def write_run(self, row: Row) -> bool:
        """Write the row of `run` at once, without fsync: a power cut would take nothing yet."""
        self.connection.execute("PRAGMA synchronous=OFF")
        self.add(sql.RUN, row)
        written = self.flush(force=True)
        self.connection.execute("PRAGMA synchronous=NORMAL")
        return written

    def add_steps(self, rows: list[Row]) -> None:
        """Queue rows of `steps` that are not in the recording yet, and count them."""
        for row in rows:
            self.rollups.add(row)
        self.add(sql.STEP, *rows)

    def add_window(self, window: DecodedWindow) -> None:
        """Queue a window with its figures and its raw trace."""
        self._windows.append(window)
        self._count += 1

    @property
    def pending(self) -> int:
        """How many rows pend."""
        return self._count

    def flush(self, force: bool = False) -> bool:
        """Write what pends; False if it could not be written and pends still."""
        if self._count == 0:
            return True
        if self.failure is not None and not force and time.monotonic() < self._retry_at:
            self._bound()
            return False
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self._write()
            self.connection.execute("COMMIT")
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            self._failed(error)
            return False
        self._pending.clear()
        self._windows.clear()
        self._count = 0
        self.rollups.stored()
        self.failure = None
        return True

    def _write(self) -> None:
        # A process's row before what updates it: another's update may have been queued earlier.
        pending = sorted(self._pending.items(), key=lambda item: item[0] != sql.PROCESS)
        for statement, rows in pending:
            try:
                self.connection.executemany(statement, rows)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.Error, OverflowError, UnicodeError, ValueError):
                self._write_singly(statement, rows)
        self.connection.executemany(sql.ROLLUP, self.rollups.rows())
        for window in self._windows:
            self._write_window(window)

    def _write_singly(self, statement: str, rows: list[Row]) -> None:
        """One row of a hostile or mistaken probe does not cost the others."""
        for row in rows:
            try:
                self.connection.execute(statement, row)
            except sqlite3.OperationalError:
                raise
            except (sqlite3.Error, OverflowError, UnicodeError, ValueError):
                self.bad_rows += 1

    def _failed(self, error: sqlite3.Error) -> None:
        self.failure = str(error)
        self._retry_at = time.monotonic() + RETRY_S
        self._operator_ids.clear()
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass
        self._bound()

    def _bound(self) -> None:
        """Drop the oldest rows of the longest queues, traces first."""
        if self._count <= MAX_PENDING_ROWS and len(self._windows) <= 4:
            return
        for window in self._windows:
            window.trace = None
        if len(self._windows) > 200:
            self.rows_lost += len(self._windows) - 200
            del self._windows[:-200]
        while sum(map(len, self._pending.values())) > MAX_PENDING_ROWS:
            longest = max(self._pending.values(), key=len)
            self.rows_lost += len(longest) // 2
            del longest[: len(longest) // 2]
        self._count = sum(map(len, self._pending.values())) + len(self._windows)

    # --- windows --------------------------------------------------------------------------------

    def _write_window(self, window: DecodedWindow) -> None:
        execute = self.connection.executemany
        execute(sql.WINDOW, [window.row])
        number = window.row[0]
        figures = window.figures
        if figures is not None:
            execute(
                sql.OPERATOR,
                [
                    (number, self._operator_id(o.name, o.family), o.phase, o.device, o.calls,
                     o.self_ns, o.total_ns, o.self_allocated_bytes, o.flops)
                    for o in figures.operators
                ],
            )  # fmt: skip
            execute(
                sql.OPERATOR_DETAIL,
                [
                    (number, self._operator_id(d.name, "other"), d.kind, d.value, d.calls,
                     d.self_ns, d.total_ns)
                    for d in figures.details
                ],
            )  # fmt: skip
            execute(
                sql.KERNEL,
                [
                    (number, self._operator_id(k.name, k.family), k.stream, k.calls, k.total_ns)
                    for k in figures.kernels
                ],
            )
            self._write_device_figures(number, figures)
        if window.trace is not None:
            self._write_trace(window)

    def _write_device_figures(self, number: object, figures: WindowFigures) -> None:
        from fwtop.analysis.families import family

        execute = self.connection.executemany
        execute(sql.WINDOW_DEVICE, [(number, *astuple(device)) for device in figures.devices])
        execute(
            sql.KERNEL_EFFICIENCY,
            [
                (number, self._operator_id(k.name, family(k.name)), k.measured_ns, k.sm_busy_ns,
                 k.occupied_ns)
                for k in figures.kernel_efficiency
            ],
        )  # fmt: skip
        execute(
            sql.OPERATOR_FLOPS,
            [
                (number, self._operator_id(f.name, family(f.name)), f.phase, f.dtype, f.flops)
                for f in figures.operator_flops
            ],
        )
        execute(sql.STEP_BREAKDOWN, [(number, *astuple(one)) for one in figures.step_breakdowns])
        execute(sql.INPUT_STAGE, [(number, *astuple(stage)) for stage in figures.input_stages])
        execute(sql.MEMORY_POINT, [(number, *astuple(at)) for at in figures.memory_timeline])
        execute(
            sql.MEMORY_HOLDER,
            [
                (number, holder.device, self._operator_id(holder.operator, family(holder.operator)),
                 holder.bytes)
                for holder in figures.memory_holders
            ],
        )  # fmt: skip

    def _write_trace(self, window: DecodedWindow) -> None:
        assert window.trace is not None
        if len(window.trace) > self._trace_budget_bytes:
            return
        sizes = self.connection.execute(sql.TRACE_SIZES).fetchall()
        excess = sum(size for _, _, size in sizes) + len(window.trace) - self._trace_budget_bytes
        for number, _, size in sizes:
            if excess <= 0:
                break
            self.connection.execute(sql.TRACE_DROP, (number,))
            excess -= size
        self.connection.execute(sql.WINDOW_TRACE, (window.row[0], "zstd", window.trace))

    def _operator_id(self, name: str, family: str) -> int:
        known = self._operator_ids.get(name)
        if known is None:
            self.connection.execute(sql.OPERATOR_NAME, (name, family))
            known = int(self.connection.execute(sql.OPERATOR_ID, (name,)).fetchone()[0])
            if len(self._operator_ids) < MAX_OPERATOR_IDS:
                self._operator_ids[name] = known
        return known

    # --- what a new recorder must know of an earlier one ------------------------------------------

    def _load_rollup(self, process_id: int, bucket: int) -> Row | None:
        row: Row | None = self.connection.execute(sql.ROLLUP_OF, (process_id, bucket)).fetchone()
        return row

    def query(self, statement: str) -> list[Any]:
        """Rows of what the recorder itself has to look up, at its start."""
        return self.connection.execute(statement).fetchall()

    # --- the end --------------------------------------------------------------------------------

    def finish(self, state: str) -> Finish:
        """Make it one plain file in `state`, and close it. Raises nothing."""
        deadline = time.monotonic() + LEAVE_WAL_S
        plain = False
        self.connection.execute("PRAGMA busy_timeout=50")
        while not plain:
            try:
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                mode = self.connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
                plain = mode == "delete"
            except sqlite3.OperationalError:
                pass  # readers hold it; a disk that fails shows below
            if not plain:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
        try:
            self.connection.execute("PRAGMA busy_timeout=5000")
            self.connection.execute(sql.RUN_STATE, (state,))
            self.connection.close()
        except sqlite3.Error as error:  # the disk is full, or somebody removed the file
            print(f"the run's end cannot be written: {error}", file=sys.stderr, flush=True)
            return Finish(stored=False, plain=False)
        return Finish(stored=True, plain=plain)


def create(path: Path, trace_budget_bytes: int) -> Writer:
    """A writer of a new recording. Raises RecordingError."""
    from fwtop.recording.store import create_recording

    return Writer(create_recording(path), trace_budget_bytes)


def reopen(path: Path, trace_budget_bytes: int) -> Writer:
    """A writer of the recording that a dead recorder left. Raises RecordingError."""
    from fwtop.recording.store import reopen_for_writing

    return Writer(reopen_for_writing(path), trace_budget_bytes)


def reopen_unstarted(path: Path, trace_budget_bytes: int) -> Writer:
    """A writer of a recording whose recorder died before it wrote the run's row."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    return Writer(connection, trace_budget_bytes)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a recording that a reader keeps in WAL mode, with what is still in its WAL.

    The copy is one plain file. Raises OSError.
    """
    target.unlink(missing_ok=True)
    read, write = sqlite3.connect(source), sqlite3.connect(target)
    try:
        read.backup(write)
        write.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise OSError(0, str(error)) from error
    finally:
        read.close()
        write.close()
