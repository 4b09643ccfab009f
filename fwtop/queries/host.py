"""The host and the run's process tree on it."""

from __future__ import annotations

from fwtop.queries.history import History
from fwtop.queries.rows import fetch_rows
from fwtop.recording.model import HostProcess, HostSample
from fwtop.recording.store import Recording

_HISTORY = History(
    "host_samples",
    HostSample,
    keys=(),
    columns={
        "cpu_ratio": "mean",
        "core_ratios": "last",
        "memory_used_bytes": "mean",
        "memory_total_bytes": "last",
        "swap_used_bytes": "mean",
        "disk_read_bytes_per_s": "mean",
        "disk_write_bytes_per_s": "mean",
        "network_rx_bytes_per_s": "mean",
        "network_tx_bytes_per_s": "mean",
        "load_1": "mean",
        "run_cpu_ratio": "mean",
        "run_rss_bytes": "mean",
        "run_processes": "last",
        "recorder_cpu_ratio": "mean",
        "recorder_rss_bytes": "mean",
    },
)


def latest(recording: Recording, until_ns: int | None = None) -> HostSample | None:
    """The last reading by `until_ns`."""
    rows = fetch_rows(
        recording,
        HostSample,
        f"SELECT {_HISTORY.names} FROM host_samples WHERE (?1 IS NULL OR at_ns <= ?1)"
        " ORDER BY at_ns DESC LIMIT 1",
        (until_ns,),
    )
    return rows[0] if rows else None


def history(recording: Recording, start_ns: int, end_ns: int, points: int) -> list[HostSample]:
    """At most `points` readings in [start_ns, end_ns), oldest first; several in one are means."""
    return _HISTORY.fetch(recording, start_ns, end_ns, points)


def mean(recording: Recording, start_ns: int = 0, end_ns: int | None = None) -> HostSample | None:
    """One reading for the whole stretch: means, of at most `history.SPREAD` readings."""
    return _HISTORY.mean(recording, start_ns, (1 << 62) if end_ns is None else end_ns)


def host_processes(recording: Recording) -> list[HostProcess]:
    """The run's processes by the last reading: live ones first, busiest first."""
    return fetch_rows(
        recording,
        HostProcess,
        "SELECT pid, parent_pid, at_ns, name, cpu_ratio, rss_bytes, threads, alive"
        " FROM host_processes ORDER BY alive DESC, cpu_ratio DESC, pid",
    )
