"""The recording's tables, and the history of their versions.

Version history
1   The first.
2   Adds the tables of `ADDED`; a recording of version 1 is read as if these were there and empty.

Rules: integers are nanoseconds or bytes and carry the unit in their name; `*_at_ns` and
`start_ns` count from the run's start (`run.started_monotonic_ns`); unknown is NULL, never 0.
What is aggregated is a sum, a count or a mergeable sketch, so that ranks and nodes merge.
"""

SCHEMA_VERSION = 2
APPLICATION_ID = 0x66777470
"""`fwtp` in ASCII, in the SQLite header, so that `file` and we know a recording from a database."""

ROLLUP_NS = 10_000_000_000
"""Length of a bucket of `step_rollups`: 24 hours are 8,640 of them."""

TABLES = """
CREATE TABLE run (                      -- exactly one row
  id TEXT NOT NULL,
  command TEXT NOT NULL,                -- JSON list: the user's own command
  name TEXT,
  tags TEXT NOT NULL DEFAULT '[]',      -- JSON list
  cwd TEXT NOT NULL,
  host TEXT NOT NULL,
  fwtop_version TEXT NOT NULL,
  started_unix_ns INTEGER NOT NULL,
  started_monotonic_ns INTEGER NOT NULL,
  duration_ns INTEGER,                  -- NULL while it runs, or if its end was never seen
  state TEXT NOT NULL,                  -- starting, running, finishing, finished, lost
  exit_status INTEGER,                  -- 0..255; NULL if ended by a signal or not yet ended
  exit_signal INTEGER,
  versions TEXT NOT NULL DEFAULT '{}',  -- JSON: os, kernel, driver, cuda …
  environment TEXT NOT NULL DEFAULT '{}', -- JSON: the few variables named in launch/environment.py
  git_revision TEXT,
  git_dirty INTEGER,
  options TEXT NOT NULL DEFAULT '{}',   -- JSON: fwtop's own options of this run
  source TEXT NOT NULL DEFAULT 'live'   -- live, or the format that it was imported from
);
CREATE TABLE processes (
  id INTEGER PRIMARY KEY,
  process_key TEXT NOT NULL UNIQUE,
  pid INTEGER NOT NULL,                 -- 0: unknown, of a trace
  parent_pid INTEGER,
  argv TEXT NOT NULL,                   -- JSON list
  executable TEXT,
  python_version TEXT,
  host TEXT,
  node TEXT,
  rank INTEGER,
  local_rank INTEGER,
  world_size INTEGER,
  started_ns INTEGER NOT NULL,
  ended_ns INTEGER,
  device TEXT,
  device_uuid TEXT,
  step_source TEXT,
  step_source_detail TEXT,
  messages_dropped INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE frameworks (
  process_id INTEGER NOT NULL REFERENCES processes(id),
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  hooks TEXT NOT NULL DEFAULT '{}',     -- JSON: which way each hook works here
  PRIMARY KEY (process_id, name)
) WITHOUT ROWID;
CREATE TABLE steps (
  process_id INTEGER NOT NULL,
  step_index INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  duration_ns INTEGER NOT NULL,
  input_ns INTEGER, h2d_ns INTEGER, forward_ns INTEGER, backward_ns INTEGER, optimizer_ns INTEGER,
  flags INTEGER NOT NULL DEFAULT 0,     -- fwtop_profilers.wire.STEP_*
  samples INTEGER,
  PRIMARY KEY (process_id, step_index)
) WITHOUT ROWID;
CREATE INDEX steps_traced_or_compiled   -- few: what `queries.steps.set_apart` sums without a scan
  ON steps(process_id, step_index) WHERE flags & 3;
CREATE TABLE device_steps (             -- the same phases as the device saw them
  process_id INTEGER NOT NULL,
  step_index INTEGER NOT NULL,
  duration_ns INTEGER,
  input_ns INTEGER, h2d_ns INTEGER, forward_ns INTEGER, backward_ns INTEGER, optimizer_ns INTEGER,
  PRIMARY KEY (process_id, step_index)
) WITHOUT ROWID;
CREATE TABLE step_rollups (             -- ROLLUP_NS of steps in one row
  process_id INTEGER NOT NULL,
  bucket INTEGER NOT NULL,              -- start_ns // ROLLUP_NS
  first_index INTEGER NOT NULL,
  count INTEGER NOT NULL,
  duration_sum_ns INTEGER NOT NULL,
  duration_min_ns INTEGER NOT NULL,
  duration_max_ns INTEGER NOT NULL,
  input_sum_ns INTEGER, h2d_sum_ns INTEGER, forward_sum_ns INTEGER, backward_sum_ns INTEGER,
  optimizer_sum_ns INTEGER,
  samples_sum INTEGER,
  flagged INTEGER NOT NULL DEFAULT 0,   -- steps with any flag set
  sketch BLOB NOT NULL,                 -- analysis.sketch: durations, mergeable
  PRIMARY KEY (process_id, bucket)
) WITHOUT ROWID;
CREATE TABLE windows (
  id INTEGER PRIMARY KEY,
  process_id INTEGER NOT NULL,
  format TEXT NOT NULL,
  deep INTEGER NOT NULL,
  way TEXT NOT NULL,
  level TEXT,
  first_step INTEGER NOT NULL,
  step_count INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  cost_ns INTEGER NOT NULL,             -- start + stop + save + slowdown
  slowdown_ns INTEGER,
  counted INTEGER NOT NULL,
  event_count INTEGER,
  raw_bytes INTEGER,
  state TEXT NOT NULL,                  -- decoded, failed
  note TEXT,                            -- why it failed, or what of it is missing
  span_ns INTEGER, busy_ns INTEGER, compute_ns INTEGER, communication_ns INTEGER,
  overlap_ns INTEGER, host_wait_ns INTEGER, kernel_wait_ns INTEGER, other_wait_ns INTEGER
);
CREATE TABLE window_traces (            -- the raw trace, within a size budget; oldest dropped first
  window_id INTEGER PRIMARY KEY REFERENCES windows(id),
  compression TEXT NOT NULL,            -- zstd
  trace BLOB NOT NULL
);
CREATE TABLE operator_names (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  family TEXT NOT NULL
);
CREATE TABLE operator_stats (           -- sums over one window; divide by its step_count
  window_id INTEGER NOT NULL,
  operator_id INTEGER NOT NULL,
  phase TEXT NOT NULL,
  device TEXT NOT NULL,                 -- cpu, gpu: where the time was spent
  calls INTEGER NOT NULL,
  self_ns INTEGER NOT NULL,
  total_ns INTEGER NOT NULL,
  self_allocated_bytes INTEGER,
  flops INTEGER,
  PRIMARY KEY (window_id, operator_id, phase, device)
) WITHOUT ROWID;
CREATE TABLE operator_details (         -- deep windows only
  window_id INTEGER NOT NULL,
  operator_id INTEGER NOT NULL,
  kind TEXT NOT NULL,                   -- shape, module, source
  value TEXT NOT NULL,
  calls INTEGER NOT NULL,
  self_ns INTEGER NOT NULL,
  total_ns INTEGER NOT NULL,
  PRIMARY KEY (window_id, operator_id, kind, value)
) WITHOUT ROWID;
CREATE TABLE kernel_stats (             -- sums over one window
  window_id INTEGER NOT NULL,
  operator_id INTEGER NOT NULL,         -- the kernel's own name in operator_names
  stream INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  total_ns INTEGER NOT NULL,
  PRIMARY KEY (window_id, operator_id, stream)
) WITHOUT ROWID;
CREATE TABLE compile_events (
  id INTEGER PRIMARY KEY,
  process_id INTEGER NOT NULL,
  key TEXT NOT NULL,                    -- the probe's; unique in the process
  parent_key TEXT,
  kind TEXT NOT NULL,                   -- fwtop_profilers.wire.CompileEvent.kind
  name TEXT NOT NULL,
  compile_id TEXT,
  start_ns INTEGER NOT NULL,
  duration_ns INTEGER,                  -- NULL while under way, and for what has no length
  function TEXT,
  file TEXT,
  line INTEGER,
  reason TEXT,
  step_index INTEGER,
  detail TEXT NOT NULL DEFAULT '{}',    -- JSON
  UNIQUE (process_id, key)
);
CREATE INDEX compile_events_start ON compile_events(start_ns);
CREATE TABLE memory_samples (
  process_id INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  device TEXT NOT NULL,
  allocated_bytes INTEGER, reserved_bytes INTEGER, active_bytes INTEGER,
  allocated_peak_bytes INTEGER, reserved_peak_bytes INTEGER,
  retries INTEGER, ooms INTEGER,
  PRIMARY KEY (process_id, at_ns, device)
) WITHOUT ROWID;
CREATE TABLE out_of_memory (
  process_id INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  device TEXT NOT NULL,
  message TEXT NOT NULL,
  holders TEXT NOT NULL                 -- JSON list
);
CREATE TABLE marks (
  process_id INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  name TEXT NOT NULL,
  value TEXT
);
CREATE TABLE governor (                 -- the windows' bookkeeping, latest row a process
  process_id INTEGER PRIMARY KEY,
  at_ns INTEGER NOT NULL,
  budget_ratio REAL NOT NULL,
  measured_ratio REAL,
  elapsed_ns INTEGER NOT NULL,
  cost_ns INTEGER NOT NULL,
  hook_cost_ns INTEGER NOT NULL,
  windows INTEGER NOT NULL,
  next_window_ns INTEGER,
  waiting_for TEXT NOT NULL DEFAULT ''
);
CREATE TABLE devices (
  id INTEGER PRIMARY KEY,
  device_key TEXT NOT NULL UNIQUE,      -- uuid, or vendor:index
  vendor TEXT NOT NULL,
  device_index INTEGER NOT NULL,
  name TEXT NOT NULL,
  uuid TEXT,
  parent_id INTEGER,                    -- the GPU of a MIG instance
  memory_total_bytes INTEGER,
  facts TEXT NOT NULL DEFAULT '{}',     -- JSON: what does not change (driver, pcie max, ecc mode …)
  used INTEGER NOT NULL DEFAULT 0       -- by this run
);
CREATE TABLE device_samples (
  device_id INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  utilization_ratio REAL,
  memory_utilization_ratio REAL,
  memory_used_bytes INTEGER,
  power_w REAL, power_limit_w REAL,
  sm_clock_hz INTEGER, memory_clock_hz INTEGER,
  temperature_c REAL, fan_ratio REAL,
  pcie_generation INTEGER, pcie_width INTEGER,
  pcie_rx_bytes_per_s INTEGER, pcie_tx_bytes_per_s INTEGER,
  nvlink_rx_bytes_per_s INTEGER, nvlink_tx_bytes_per_s INTEGER,
  throttle_reasons TEXT,                -- comma-separated, '' for none, NULL unknown
  ecc_corrected INTEGER, ecc_uncorrected INTEGER,
  PRIMARY KEY (device_id, at_ns)
) WITHOUT ROWID;
CREATE TABLE device_processes (         -- latest reading
  device_id INTEGER NOT NULL,
  pid INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  name TEXT,
  memory_bytes INTEGER,
  own INTEGER NOT NULL,                 -- of this run
  PRIMARY KEY (device_id, pid)
) WITHOUT ROWID;
CREATE TABLE host_samples (
  at_ns INTEGER PRIMARY KEY,
  cpu_ratio REAL,                       -- of all cores that may be used, 0..1
  core_ratios BLOB,                     -- one byte for each of those cores, 0..255
  memory_used_bytes INTEGER, memory_total_bytes INTEGER,
  swap_used_bytes INTEGER,
  disk_read_bytes_per_s INTEGER, disk_write_bytes_per_s INTEGER,
  network_rx_bytes_per_s INTEGER, network_tx_bytes_per_s INTEGER,
  load_1 REAL,
  run_cpu_ratio REAL,                   -- the run's process tree, in cores (2.0 is two cores)
  run_rss_bytes INTEGER,
  run_processes INTEGER,
  recorder_cpu_ratio REAL, recorder_rss_bytes INTEGER
);
CREATE TABLE host_processes (           -- the run's process tree, latest reading
  pid INTEGER PRIMARY KEY,
  parent_pid INTEGER,
  at_ns INTEGER NOT NULL,
  name TEXT NOT NULL,
  cpu_ratio REAL,
  rss_bytes INTEGER,
  threads INTEGER,
  alive INTEGER NOT NULL
);
CREATE TABLE log (                      -- the script's output, in full
  id INTEGER PRIMARY KEY,
  at_ns INTEGER NOT NULL,
  stream INTEGER NOT NULL,              -- 1 stdout or terminal, 2 stderr, 3 the terminal's new size
  data BLOB NOT NULL
);
CREATE INDEX log_sizes ON log(id) WHERE stream = 3; -- few, and looked for before any piece
CREATE TABLE notices (                  -- what fwtop itself has to say: failed hooks, losses …
  id INTEGER PRIMARY KEY,
  at_ns INTEGER NOT NULL,
  severity TEXT NOT NULL,               -- info, warning, error
  code TEXT NOT NULL,
  process_id INTEGER,
  text TEXT NOT NULL,
  next TEXT NOT NULL DEFAULT ''         -- what to do about it
);
"""

ADDED = {
    2: """
CREATE {temporary} TABLE window_devices (  -- one device in one window
  window_id INTEGER NOT NULL,
  device INTEGER NOT NULL,
  span_ns INTEGER NOT NULL,             -- from the first step's start to the last one's end
  busy_ns INTEGER NOT NULL,             -- some kernel ran
  kernel_ns INTEGER NOT NULL,           -- the kernels' times, summed
  measured_ns INTEGER NOT NULL,         -- of it, that of kernels whose occupancy the trace tells
  sm_busy_ns REAL,                      -- its multiprocessors' share of busy_ns: ratio x time
  occupied_ns REAL,                     -- sum over measured kernels of estimated occupancy x time
  tensor_core_ns INTEGER,               -- time of kernels that use tensor cores
  launches INTEGER NOT NULL,
  launch_delay_sum_ns INTEGER NOT NULL,
  launch_delays BLOB NOT NULL,          -- analysis.sketch, mergeable
  queue_max INTEGER,                    -- most launched and not yet begun on one stream
  PRIMARY KEY (window_id, device)
) WITHOUT ROWID;
CREATE {temporary} TABLE kernel_efficiency (  -- sums over one window
  window_id INTEGER NOT NULL,
  operator_id INTEGER NOT NULL,         -- the kernel's own name in operator_names
  measured_ns INTEGER NOT NULL,
  sm_busy_ns REAL,
  occupied_ns REAL,
  PRIMARY KEY (window_id, operator_id)
) WITHOUT ROWID;
CREATE {temporary} TABLE operator_flops (  -- windows whose shapes tell them: deep ones
  window_id INTEGER NOT NULL,
  operator_id INTEGER NOT NULL,
  phase TEXT NOT NULL,
  dtype TEXT NOT NULL,                  -- devices.peaks.DTYPES; '' for another or unknown
  flops INTEGER NOT NULL,               -- of operator_stats.flops, those of inputs of this dtype
  PRIMARY KEY (window_id, operator_id, phase, dtype)
) WITHOUT ROWID;
CREATE {temporary} TABLE step_breakdowns (  -- a traced step's wall time, each moment claimed once
  window_id INTEGER NOT NULL,
  step_index INTEGER NOT NULL,
  kernel_ns INTEGER NOT NULL, memcpy_ns INTEGER NOT NULL, memset_ns INTEGER NOT NULL,
  communication_ns INTEGER NOT NULL, runtime_ns INTEGER NOT NULL,
  dataloader_ns INTEGER NOT NULL, cpu_op_ns INTEGER NOT NULL, other_ns INTEGER NOT NULL,
  PRIMARY KEY (window_id, step_index)
) WITHOUT ROWID;
CREATE {temporary} TABLE input_stages ( -- an input pipeline's stages in one window
  window_id INTEGER NOT NULL,
  path TEXT NOT NULL,                   -- outermost first: Prefetch::ParallelMapV2::Shuffle
  calls INTEGER NOT NULL,
  self_ns INTEGER NOT NULL,
  total_ns INTEGER NOT NULL,
  PRIMARY KEY (window_id, path)
) WITHOUT ROWID;
CREATE {temporary} TABLE memory_timeline (  -- deep windows only, thinned
  window_id INTEGER NOT NULL,
  device TEXT NOT NULL,
  offset_ns INTEGER NOT NULL,           -- since the window's first event
  allocated_bytes INTEGER NOT NULL,     -- above what was allocated when the window began
  PRIMARY KEY (window_id, device, offset_ns)
) WITHOUT ROWID;
CREATE {temporary} TABLE memory_holders (  -- what was held at the peak of memory_timeline
  window_id INTEGER NOT NULL,
  device TEXT NOT NULL,
  operator_id INTEGER NOT NULL,         -- who had allocated it
  bytes INTEGER NOT NULL,
  PRIMARY KEY (window_id, device, operator_id)
) WITHOUT ROWID;
""",
}
"""By version: the tables that it added. Only ever whole tables, so that an older recording opened
read-only gets them as empty temporary ones."""
