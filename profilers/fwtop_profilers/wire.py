"""The messages between a probe and the recorder, and their framing.

Owns the shape of what crosses the process boundary and nothing else: no socket, no queue, no
framework. One message is one line of JSON, `{"type": "Steps", "body": {...}}`. The recorder decodes
the body into the same class, so a field with a wrong type is refused there, with its name.

Times are nanoseconds of the sending process's CLOCK_MONOTONIC (`time.monotonic_ns`), which all
processes of one machine share; `Hello` carries the wall-clock anchor for the rest. A duration that
is unknown is `None`, never 0.

Compatible changes add an optional field with a default. Anything else raises `WIRE_VERSION`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Optional

WIRE_VERSION = 1
MAX_LINE_BYTES = 1 << 20
"""A longer line is refused by the recorder, and dropped and counted by the probe."""

PHASES = ("input", "h2d", "forward", "backward", "optimizer", "other")
"""Where a step's time goes. `other` is what is left, and is not sent."""

STEP_TRACED = 1
"""Flag: the step lay in a trace window, so its time includes the profiler's."""
STEP_COMPILED = 2
"""Flag: a graph compile ran within the step."""
STEP_SKIPPED = 4
"""Flag: the optimizer step was skipped (a GradScaler that found inf, say)."""
STEP_GAP = 8
"""Flag: something that is not training (evaluation, a checkpoint) lay before the step; it is
counted in no step."""


@dataclass(frozen=True)
class Hello:
    """First message of a connection; sent again, with the same `process_key`, on reconnection."""

    wire_version: int
    process_key: str
    """Unique to the process and stable over reconnections: `PID-START_NS`."""
    pid: int
    parent_pid: int
    started_ns: int
    anchor_monotonic_ns: int
    anchor_unix_ns: int
    host: str
    argv: List[str]
    executable: str
    python_version: str
    rank: Optional[int] = None
    local_rank: Optional[int] = None
    world_size: Optional[int] = None
    node: Optional[str] = None


@dataclass(frozen=True)
class Framework:
    """A framework was imported and its hooks are in; sent again when something of it changes."""

    name: str
    version: str
    hooks: Dict[str, str]
    """What is in use, by subject: `{"windows": "gil released", "compile": "structured trace"}`."""
    device: Optional[str] = None
    """What the script trains on, once known: `cpu`, `cuda:0` …"""
    device_uuid: Optional[str] = None


@dataclass(frozen=True)
class Rank:
    """The process's place in a distributed run, where it was learnt after `Hello`."""

    rank: Optional[int]
    local_rank: Optional[int]
    world_size: Optional[int]


@dataclass(frozen=True)
class Steps:
    """Finished steps, column by column. All lists have the same length."""

    first_index: int
    """Index of the first of them; the others follow without a gap."""
    start_ns: List[int]
    duration_ns: List[int]
    phases: Dict[str, List[Optional[int]]]
    """Nanoseconds by phase, from host boundaries. A phase that no hook can see is absent."""
    flags: List[int]
    samples: Optional[List[Optional[int]]] = None
    """Samples a step, where the input pipeline tells."""


@dataclass(frozen=True)
class DeviceSteps:
    """The phases of earlier steps as the device saw them, from events; arrives some steps late."""

    indices: List[int]
    duration_ns: List[Optional[int]]
    phases: Dict[str, List[Optional[int]]]


@dataclass(frozen=True)
class StepSource:
    """What bounds a step here, said once it is known and again when it changes."""

    source: str
    """`optimizer`, `backward`, `forward`, `input`, `batch` (the framework's own loop, such as
    Keras' fit, says what a step is), `call:…`."""
    detail: str = ""


@dataclass(frozen=True)
class Window:
    """A trace window was saved, and the recorder may read and delete its file."""

    window_key: str
    path: str
    format: str
    """`kineto` or `xplane`."""
    deep: bool
    first_step: int
    step_count: int
    start_ns: int
    end_ns: int
    anchor_monotonic_ns: int
    anchor_unix_ns: int
    """Both clocks, read together near the window: the trace's own times are wall-clock times."""
    start_cost_ns: int
    stop_cost_ns: int
    save_cost_ns: int
    slowdown_ns: Optional[int]
    """Traced steps minus as many median untraced ones; `None` before there is a median."""
    way: str
    """`gil released`, `plain`, `public` …: the path that was used."""
    size_bytes: int
    counted: bool = True
    """False for the first, warming-up window, whose cost is no guide for later ones."""
    level: Optional[str] = None
    """The detail of the trace where the framework has levels of it."""
    step_start_ns: List[int] = field(default_factory=list)
    step_duration_ns: List[int] = field(default_factory=list)
    span_phase: List[str] = field(default_factory=list)
    """The phases of the traced steps on the host's time axis, so that an operator's phase follows
    from when it ran or was launched, whatever the framework."""
    span_start_ns: List[int] = field(default_factory=list)
    span_end_ns: List[int] = field(default_factory=list)


@dataclass(frozen=True)
class WindowFailed:
    """A trace window could not be had; why, and until when none is tried."""

    at_ns: int
    reason: str
    retry_after_ns: Optional[int]


@dataclass(frozen=True)
class Governor:
    """The windows' bookkeeping, sent after each window and each change of the budget."""

    at_ns: int
    budget_ratio: float
    elapsed_ns: int
    cost_ns: int
    hook_cost_ns: int
    """What the always-on hooks took: their calls times their measured cost."""
    windows: int
    measured_ratio: Optional[float]
    """(cost_ns + hook_cost_ns) / elapsed_ns, counted windows only; `None` until known."""
    next_window_ns: Optional[int]
    waiting_for: str = ""
    """Why no window opens now, in words: `budget`, `the script's own profiler` …"""


@dataclass(frozen=True)
class CompileEvent:
    """Something about compiled graphs: a compile, a phase of one, a break, a recompile, a cache.

    A compile or phase is sent when it begins (`duration_ns` None) and again, with the same `key`,
    when it ends; the later one replaces the earlier one.
    """

    key: str
    kind: str
    """`compile`, `phase`, `graph_break`, `recompile`, `cache_hit`, `cache_miss`, `cache_bypass`,
    `trace`, `retrace`, `xla`, `fallback`."""
    start_ns: int
    duration_ns: Optional[int]
    name: str
    compile_id: Optional[str] = None
    parent_key: Optional[str] = None
    function: Optional[str] = None
    file: Optional[str] = None
    line: Optional[int] = None
    reason: Optional[str] = None
    step_index: Optional[int] = None
    detail: Dict[str, Any] = field(default_factory=dict)
    """Figures of the compile: `{"graph_ops": 31, "graph_inputs": 5}`."""


@dataclass(frozen=True)
class Memory:
    """One reading of a device's allocator; peaks are the allocator's own, never reset by us."""

    at_ns: int
    device: str
    allocated_bytes: Optional[int]
    reserved_bytes: Optional[int]
    active_bytes: Optional[int]
    allocated_peak_bytes: Optional[int]
    reserved_peak_bytes: Optional[int]
    retries: Optional[int] = None
    ooms: Optional[int] = None


@dataclass(frozen=True)
class OutOfMemory:
    """The allocator gave up; what it held, largest first."""

    at_ns: int
    device: str
    message: str
    holders: List[Dict[str, Any]]
    """`{"size_bytes": …, "count": …, "where": "file:line function"}`."""


@dataclass(frozen=True)
class Mark:
    """A note of the user's on the time axis: `mark("epoch", 3)`."""

    at_ns: int
    name: str
    value: Optional[str]


@dataclass(frozen=True)
class ProbeFailure:
    """A hook raised and was switched off; the script went on."""

    at_ns: int
    hook: str
    error: str
    traceback: str


@dataclass(frozen=True)
class Losses:
    """What the probe had to drop, as totals since the process started."""

    messages_dropped: int
    bytes_dropped: int


@dataclass(frozen=True)
class Goodbye:
    """The process is about to end in good order."""

    at_ns: int
    reason: str


# --- from the recorder to the probe -------------------------------------------------------------


@dataclass(frozen=True)
class Capture:
    """Open a window at the next step, whatever the budget says."""

    deep: bool
    steps: int


@dataclass(frozen=True)
class SetBudget:
    """Change the share of the run time that trace windows may cost: 0 never, 1 always."""

    ratio: float


FROM_PROBE = (
    Hello, Framework, Rank, Steps, DeviceSteps, StepSource, Window, WindowFailed, Governor,
    CompileEvent, Memory, OutOfMemory, Mark, ProbeFailure, Losses, Goodbye,
)  # fmt: skip
TO_PROBE = (Capture, SetBudget)


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(message: Any) -> bytes:
    """One line, with its newline. Raises TypeError or ValueError for what JSON cannot hold."""
    body = {f.name: getattr(message, f.name) for f in fields(message)}
    line = _ENCODER.encode({"type": type(message).__name__, "body": body})
    return line.encode("ascii") + b"\n"


def decode_to_probe(line: bytes) -> Any:
    """A recorder's message; raises ValueError for anything else."""
    envelope = json.loads(line)
    for kind in TO_PROBE:
        if isinstance(envelope, dict) and envelope.get("type") == kind.__name__:
            return kind(**envelope["body"])
    raise ValueError("not a message to a probe: %r" % line[:80])
