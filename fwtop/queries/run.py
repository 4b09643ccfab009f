"""The run itself: its one row, processes, frameworks, notices, marks and windows' bookkeeping."""

from __future__ import annotations

from fwtop.queries.rows import damaged, fetch_rows
from fwtop.recording.model import Framework, Governor, Mark, Notice, Process, Run
from fwtop.recording.store import Recording


def get_run(recording: Recording) -> Run:
    """The run that the recording is of."""
    rows = fetch_rows(
        recording,
        Run,
        "SELECT id, command, name, tags, cwd, host, fwtop_version, started_unix_ns,"
        " started_monotonic_ns, duration_ns, state, exit_status, exit_signal, versions,"
        " environment, git_revision, git_dirty, options, source FROM run LIMIT 1",
    )
    if not rows:
        raise damaged(recording, "it holds no run")
    return rows[0]


def processes(recording: Recording) -> list[Process]:
    """The processes that said Hello: by rank, those without one last, then as they came."""
    return fetch_rows(
        recording,
        Process,
        "SELECT id, nullif(pid, 0), parent_pid, argv, executable, python_version, host, node, rank,"
        " local_rank, world_size, started_ns, ended_ns, device, device_uuid, step_source,"
        " step_source_detail, messages_dropped FROM processes ORDER BY rank IS NULL, rank, id",
    )


def frameworks(recording: Recording) -> list[Framework]:
    """The frameworks of each process."""
    return fetch_rows(
        recording,
        Framework,
        "SELECT process_id, name, version, hooks FROM frameworks ORDER BY process_id, name",
    )


def notices(recording: Recording, after_id: int = 0) -> list[Notice]:
    """What fwtop itself had to say after the notice `after_id`, oldest first."""
    return fetch_rows(
        recording,
        Notice,
        "SELECT id, at_ns, severity, code, process_id, text, next FROM notices"
        " WHERE id > ? ORDER BY id",
        (after_id,),
    )


def marks(recording: Recording) -> list[Mark]:
    """The marks on the time axis, in time's order."""
    return fetch_rows(
        recording, Mark, "SELECT process_id, at_ns, name, value FROM marks ORDER BY at_ns"
    )


def governors(recording: Recording) -> list[Governor]:
    """What each process last told of its windows' cost, by process."""
    return fetch_rows(
        recording,
        Governor,
        "SELECT process_id, at_ns, budget_ratio, measured_ratio, elapsed_ns, cost_ns,"
        " hook_cost_ns, windows, next_window_ns, waiting_for FROM governor ORDER BY process_id",
    )
