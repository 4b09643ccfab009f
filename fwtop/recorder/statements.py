"""The SQL that writes a recording: one constant a statement, each safe to run again.

A batch that failed half-way is run again whole, so every statement upserts, replaces or ignores.
"""

from __future__ import annotations


def _insert(table: str, columns: str, verb: str = "INSERT OR REPLACE") -> str:
    names = [name.strip() for name in columns.split(",")]
    marks = ", ".join("?" * len(names))
    return f"{verb} INTO {table} ({', '.join(names)}) VALUES ({marks})"


RUN = _insert(
    "run",
    "id, command, name, tags, cwd, host, fwtop_version, started_unix_ns, started_monotonic_ns, "
    "state, versions, environment, options",
    "INSERT",
)
RUN_STATE = "UPDATE run SET state = ?"
RUN_REVISION = "UPDATE run SET git_revision = ?, git_dirty = ?"
RUN_SOURCE = "UPDATE run SET source = ?"
RUN_OPTIONS = "UPDATE run SET options = ?"
RUN_END = "UPDATE run SET state = ?, duration_ns = ?, exit_status = ?, exit_signal = ?"

PROCESS = """
INSERT INTO processes (id, process_key, pid, parent_pid, argv, executable, python_version, host,
  node, rank, local_rank, world_size, started_ns)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (process_key) DO UPDATE SET ended_ns = NULL
"""
PROCESS_RANK = "UPDATE processes SET rank = ?, local_rank = ?, world_size = ? WHERE id = ?"
PROCESS_DEVICE = (
    "UPDATE processes SET device = coalesce(?, device), device_uuid = coalesce(?, device_uuid) "
    "WHERE id = ?"
)
PROCESS_STEP_SOURCE = "UPDATE processes SET step_source = ?, step_source_detail = ? WHERE id = ?"
PROCESS_DROPPED = "UPDATE processes SET messages_dropped = ? WHERE id = ?"
PROCESS_ENDED = "UPDATE processes SET ended_ns = ? WHERE id = ?"
FRAMEWORK = _insert("frameworks", "process_id, name, version, hooks")

_PHASES = "input_ns, h2d_ns, forward_ns, backward_ns, optimizer_ns"
STEP = _insert(
    "steps",
    f"process_id, step_index, start_ns, duration_ns, {_PHASES}, flags, samples",
    "INSERT OR IGNORE",
)
DEVICE_STEP = _insert("device_steps", f"process_id, step_index, duration_ns, {_PHASES}")
ROLLUP = _insert(
    "step_rollups",
    "process_id, bucket, first_index, count, duration_sum_ns, duration_min_ns, duration_max_ns, "
    "input_sum_ns, h2d_sum_ns, forward_sum_ns, backward_sum_ns, optimizer_sum_ns, samples_sum, "
    "flagged, sketch",
)
ROLLUP_OF = (
    "SELECT first_index, count, duration_sum_ns, duration_min_ns, duration_max_ns, input_sum_ns, "
    "h2d_sum_ns, forward_sum_ns, backward_sum_ns, optimizer_sum_ns, samples_sum, flagged, sketch "
    "FROM step_rollups WHERE process_id = ? AND bucket = ?"
)

WINDOW = _insert(
    "windows",
    "id, process_id, format, deep, way, level, first_step, step_count, start_ns, end_ns, cost_ns, "
    "slowdown_ns, counted, event_count, raw_bytes, state, note, span_ns, busy_ns, compute_ns, "
    "communication_ns, overlap_ns, host_wait_ns, kernel_wait_ns, other_wait_ns",
)
WINDOW_TRACE = _insert("window_traces", "window_id, compression, trace")
OPERATOR_NAME = "INSERT OR IGNORE INTO operator_names (name, family) VALUES (?, ?)"
OPERATOR_ID = "SELECT id FROM operator_names WHERE name = ?"
OPERATOR = _insert(
    "operator_stats",
    "window_id, operator_id, phase, device, calls, self_ns, total_ns, self_allocated_bytes, flops",
)
OPERATOR_DETAIL = _insert(
    "operator_details", "window_id, operator_id, kind, value, calls, self_ns, total_ns"
)
KERNEL = _insert("kernel_stats", "window_id, operator_id, stream, calls, total_ns")
WINDOW_DEVICE = _insert(
    "window_devices",
    "window_id, device, span_ns, busy_ns, kernel_ns, measured_ns, sm_busy_ns, occupied_ns, "
    "tensor_core_ns, launches, launch_delay_sum_ns, launch_delays, queue_max",
)
KERNEL_EFFICIENCY = _insert(
    "kernel_efficiency", "window_id, operator_id, measured_ns, sm_busy_ns, occupied_ns"
)
OPERATOR_FLOPS = _insert("operator_flops", "window_id, operator_id, phase, dtype, flops")
STEP_BREAKDOWN = _insert(
    "step_breakdowns",
    "window_id, step_index, kernel_ns, memcpy_ns, memset_ns, communication_ns, runtime_ns, "
    "dataloader_ns, cpu_op_ns, other_ns",
)
INPUT_STAGE = _insert("input_stages", "window_id, path, calls, self_ns, total_ns")
MEMORY_POINT = _insert("memory_timeline", "window_id, device, offset_ns, allocated_bytes")
MEMORY_HOLDER = _insert("memory_holders", "window_id, device, operator_id, bytes")
TRACE_SIZES = (
    "SELECT w.id, w.deep, length(t.trace) FROM window_traces t JOIN windows w "
    "ON w.id = t.window_id ORDER BY w.deep, w.id"
)
TRACE_DROP = "DELETE FROM window_traces WHERE window_id = ?"

COMPILE_EVENT = _insert(
    "compile_events",
    "process_id, key, parent_key, kind, name, compile_id, start_ns, duration_ns, function, file, "
    "line, reason, step_index, detail",
)
"""The end of a compile replaces its beginning under a new id: who asks for what is new, sees it."""
MEMORY = _insert(
    "memory_samples",
    "process_id, at_ns, device, allocated_bytes, reserved_bytes, active_bytes, "
    "allocated_peak_bytes, reserved_peak_bytes, retries, ooms",
)
OUT_OF_MEMORY = _insert("out_of_memory", "process_id, at_ns, device, message, holders", "INSERT")
MARK = _insert("marks", "process_id, at_ns, name, value", "INSERT")
GOVERNOR = _insert(
    "governor",
    "process_id, at_ns, budget_ratio, measured_ratio, elapsed_ns, cost_ns, hook_cost_ns, windows, "
    "next_window_ns, waiting_for",
)
NOTICE = _insert("notices", "at_ns, severity, code, process_id, text, next", "INSERT")
LOG = _insert("log", "id, at_ns, stream, data", "INSERT OR IGNORE")

DEVICE = """
INSERT INTO devices (id, device_key, vendor, device_index, name, uuid, parent_id,
  memory_total_bytes, facts, used)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device_key) DO UPDATE SET name = excluded.name, facts = excluded.facts,
  memory_total_bytes = excluded.memory_total_bytes, used = max(used, excluded.used)
"""
DEVICE_SAMPLE_COLUMNS = (
    "utilization_ratio", "memory_utilization_ratio", "memory_used_bytes", "power_w",
    "power_limit_w", "sm_clock_hz", "memory_clock_hz", "temperature_c", "fan_ratio",
    "pcie_generation", "pcie_width", "pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s",
    "nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s", "throttle_reasons", "ecc_corrected",
    "ecc_uncorrected",
)  # fmt: skip
DEVICE_SAMPLE = _insert("device_samples", "device_id, at_ns, " + ", ".join(DEVICE_SAMPLE_COLUMNS))
DEVICE_PROCESS = _insert("device_processes", "device_id, pid, at_ns, name, memory_bytes, own")
DEVICE_PROCESSES_GONE = "DELETE FROM device_processes WHERE device_id = ? AND at_ns < ?"
HOST_SAMPLE_COLUMNS = (
    "cpu_ratio", "memory_used_bytes", "memory_total_bytes", "swap_used_bytes",
    "disk_read_bytes_per_s", "disk_write_bytes_per_s", "network_rx_bytes_per_s",
    "network_tx_bytes_per_s", "load_1", "run_cpu_ratio", "run_rss_bytes", "run_processes",
    "recorder_cpu_ratio", "recorder_rss_bytes",
)  # fmt: skip
HOST_SAMPLE = _insert("host_samples", "at_ns, core_ratios, " + ", ".join(HOST_SAMPLE_COLUMNS))
HOST_PROCESS = _insert(
    "host_processes", "pid, parent_pid, at_ns, name, cpu_ratio, rss_bytes, threads, alive"
)
HOST_PROCESSES_GONE = "DELETE FROM host_processes WHERE alive = 0 AND at_ns < ?"
