"""What users' PyTorch scripts look like, each under plain Python and under fwtop.

The script's output, exit status and losses must be the same to the last bit, and the recording must
say what happened: the exact steps, their phases, the compile events with their lines and reasons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fwtop.queries import compiles, log, operators, steps
from fwtop.queries import run as runs
from fwtop.recording import model, window_model
from fwtop.recording.store import open_recording
from fwtop_profilers import wire
from tests.processes.both_ways import SCRIPTS, Ended, Recorded, both_ways

pytestmark = pytest.mark.torch

TRAINING = frozenset({"forward", "backward", "optimizer"})
LOADED = TRAINING | {"input"}
ALWAYS = ["--overhead", "100%"]


@dataclass(frozen=True)
class Outcome:
    """Both runs, and the recording's rows."""

    plain: Ended
    recorded: Recorded
    processes: list[model.Process]
    steps: dict[int, list[model.Step]]
    """By process id, oldest first; only processes that have steps."""
    windows: list[window_model.Window]
    operators: list[window_model.OperatorRow]
    compiles: list[model.CompileEvent]
    output: dict[int, bytes]

    @property
    def only_steps(self) -> list[model.Step]:
        """The steps of the one process that has some."""
        assert len(self.steps) == 1, self.steps.keys()
        return next(iter(self.steps.values()))

    def events(self, kind: str) -> list[model.CompileEvent]:
        """The compile events of a kind."""
        return [event for event in self.compiles if event.kind == kind]


@dataclass(frozen=True)
class Case:
    """A script and what its recording must say."""

    script: str
    steps: int
    """Of each process that trains."""
    phases: frozenset[str] = TRAINING
    status: int = 0
    source: str | None = "optimizer"
    processes: int = 1
    options: list[str] = field(default_factory=list)
    stdin: bytes = b""
    launcher: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    ends_with_json: bool = True
    same_stderr: bool = True
    """False where the script's stderr holds times or process ids."""
    same_stdout: bool = True
    check: Callable[[Outcome], None] = lambda outcome: None


def line_of(script: str, text: str) -> int:
    """The number of the script's first line that holds `text`."""
    lines = (SCRIPTS / script).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def has_operators(outcome: Outcome) -> None:
    decoded = [window for window in outcome.windows if window.state == "decoded"]
    assert decoded
    assert not [window for window in outcome.windows if window.state != "decoded"]
    rows = {(row.name, row.phase) for row in outcome.operators}
    names = {name for name, _ in rows}
    assert "aten::addmm" in names or "aten::mm" in names, names
    assert {phase for _, phase in rows} >= TRAINING, rows
    assert all(0 <= row.self_ns <= row.total_ns for row in outcome.operators)


def skipped_steps_are_flagged(outcome: Outcome) -> None:
    flagged = [step.index for step in outcome.only_steps if step.flags & wire.STEP_SKIPPED]
    assert flagged == [6, 13]


def evaluation_lies_in_no_step(outcome: Outcome) -> None:
    taken = outcome.only_steps
    assert max(step.duration_ns for step in taken[1:]) < 300_000_000
    for before, after in ((9, 10), (19, 20)):
        between = taken[after].start_ns - taken[before].end_ns
        assert between > 350_000_000, (before, between)
        assert taken[after].flags & wire.STEP_GAP
    inside = [step for step in taken[1:] if step.index not in (10, 20)]
    assert not [step.index for step in inside if step.flags & wire.STEP_GAP]


def ranks_are_told_apart(outcome: Outcome) -> None:
    trained = [process for process in outcome.processes if process.id in outcome.steps]
    assert sorted((p.rank, p.local_rank, p.world_size) for p in trained) == [(0, 0, 2), (1, 1, 2)]
    assert outcome.recorded.summary["run"]["world_size"] == 2


def own_profiler_is_intact(outcome: Outcome) -> None:
    assert len(outcome.recorded.said["reports"]) == 4
    assert all(report["aten::addmm"] == 6 for report in outcome.recorded.said["reports"])


def same_compiles(outcome: Outcome, but: Sequence[str] = ()) -> None:
    """Dynamo saw the same frames, graphs, breaks and compile ids with fwtop as without."""
    plain, recorded = (
        {kind: counts for kind, counts in ended.said["counters"].items() if kind not in but}
        for ended in (outcome.plain, outcome.recorded)
    )
    assert recorded == plain
    assert outcome.recorded.said["compiles"] == outcome.plain.said["compiles"]
    known = {event.compile_id for event in outcome.events("compile")}
    assert known == set(outcome.plain.said["compiles"])
    for event in outcome.events("compile"):
        assert event.duration_ns is not None
        assert event.duration_ns > 0


def same_compiled_optimizer(outcome: Outcome) -> None:
    """Where an optimizer's step is compiled, Dynamo breaks its graph right before the hooks (in
    torch's `_use_grad`) and looks at what follows as a frame of its own. It counts that frame
    differently as soon as any hook is registered, even an empty one; no graph and no compile comes
    or goes with it."""
    same_compiles(outcome, but=("frames",))


def compiled_here(outcome: Outcome, script: str, function: str, line: int, count: int) -> None:
    same_compiles(outcome)
    events = [event for event in outcome.events("compile") if event.function == function]
    forward = [event for event in events if not event.name.endswith("backward")]
    assert len(forward) == count, outcome.compiles
    for event in events:
        assert event.file is not None
        assert Path(event.file).name == script
        assert event.line == line


def graph_break_is_explained(outcome: Outcome) -> None:
    script = "compile_graph_break.py"
    same_compiles(outcome)
    (event,) = outcome.events("graph_break")
    assert event.file is not None
    assert Path(event.file).name == script
    assert event.line == line_of(script, "# breaks here")
    assert event.reason is not None
    assert "ata-dependent" in event.reason
    assert outcome.recorded.summary["compile"]["graph_breaks"] == 1


def recompiles_are_explained(outcome: Outcome) -> None:
    script = "compile_recompiles.py"
    compiled_here(outcome, script, "weighted_loss", line_of(script, "@torch.compile"), 4)
    recompiles = outcome.events("recompile")
    assert [event.compile_id for event in recompiles] == ["0/1", "0/2", "0/3"]
    reasons = [event.reason or "" for event in recompiles]
    assert "weight" in reasons[0], reasons
    assert "weight" in reasons[1], reasons
    assert "size mismatch" in reasons[2], reasons
    assert outcome.recorded.summary["compile"]["recompiles"] == 3
    assert [event.step_index for event in recompiles] == [5, 10, 16]
    for index in (0, 5, 10, 16):
        assert outcome.only_steps[index].flags & wire.STEP_COMPILED, index
    assert not outcome.only_steps[8].flags & wire.STEP_COMPILED


def inductor_phases_nest(outcome: Outcome) -> None:
    same_compiles(outcome)
    compile_keys = {event.key for event in outcome.events("compile")}
    phases = outcome.events("phase")
    assert any("inductor" in event.name for event in phases), [event.name for event in phases]
    known = compile_keys | {event.key for event in phases}
    assert not [event for event in phases if event.parent_key and event.parent_key not in known]
    cache = outcome.recorded.summary["compile"]["cache"]
    assert cache["misses"] >= 1
    assert cache["hits"] == 0


def child_is_another_process(outcome: Outcome) -> None:
    (trained,) = (process for process in outcome.processes if process.id in outcome.steps)
    assert trained.parent_pid in {process.pid for process in outcome.processes}


def inference_is_the_step(outcome: Outcome) -> None:
    phases = outcome.recorded.summary["steps"]["phases"]
    assert not phases.get("backward")
    assert not phases.get("optimizer")


COMPILED = {"check": same_compiles, "same_stderr": False}
CASES = [
    Case("plain_loop.py", 40, LOADED, options=ALWAYS, check=has_operators),
    Case("gradient_accumulation.py", 12, LOADED),
    Case("gan.py", 25),
    Case("amp_skipped_steps.py", 20, check=skipped_steps_are_flagged),
    Case("evaluation.py", 30, LOADED, check=evaluation_lies_in_no_step),
    Case("workers_fork.py", 24, LOADED),
    Case("workers_spawn.py", 24, LOADED),
    Case(
        "ddp.py",
        20,
        LOADED,
        processes=2,
        launcher=["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
        options=ALWAYS,
        same_stderr=False,
        check=ranks_are_told_apart,
    ),
    Case("inference_only.py", 30, frozenset(), source=None, check=inference_is_the_step),
    Case(
        "own_profiler.py",
        60,
        options=ALWAYS,
        same_stderr=False,
        check=own_profiler_is_intact,
    ),
    Case("never_trains.py", 0, source=None),
    Case("raises.py", 5, status=1, ends_with_json=False),
    Case("exits_with_3.py", 4, status=3),
    Case("forks.py", 12),
    Case("trains_in_a_child.py", 15, check=child_is_another_process),
    Case("lbfgs.py", 12, frozenset({"optimizer"})),
    Case("prints_a_lot.py", 20),
    Case("reads_stdin.py", 3, stdin=b"42\n1.5\n-2\n0.5\n"),
    Case("character_gpt.py", 30, options=ALWAYS, check=has_operators),
    Case("character_gpt.py", 30, arguments=["--compile_model=1"], same_stderr=False),
    Case("compile_model.py", 20, **COMPILED),
    Case("compile_fullgraph.py", 20, **COMPILED),
    Case(
        "compile_optimizer.py",
        20,
        frozenset({"backward"}),
        source="backward",
        same_stderr=False,
        same_stdout=False,  # its JSON holds the count of frames
        check=same_compiled_optimizer,
    ),
    Case("compile_dynamic.py", 20, **COMPILED),
    Case("compile_graph_break.py", 20, same_stderr=False, check=graph_break_is_explained),
    Case("compile_recompiles.py", 20, same_stderr=False, check=recompiles_are_explained),
    Case("compile_inductor.py", 10, same_stderr=False, check=inductor_phases_nest),
]


def outcome_of(plain: Ended, recorded: Recorded) -> Outcome:
    with open_recording(recorded.path) as recording:
        processes = runs.processes(recording)
        taken = {
            process.id: steps.latest_steps(recording, 10_000, process_id=process.id)
            for process in processes
        }
        output = {1: b"", 2: b""}
        for chunk in log.chunks(recording, limit=1_000_000):
            output[chunk.stream] += chunk.data
        return Outcome(
            plain,
            recorded,
            processes,
            {process_id: rows for process_id, rows in taken.items() if rows},
            operators.windows(recording),
            operators.operators(recording),
            compiles.events(recording, limit=100_000),
            output,
        )


RACE = re.compile(
    rb"\S+/resource_tracker\.py:\d+: UserWarning: resource_tracker: There appear to be 1 leaked"
    rb" semaphore objects .*\n  warnings\.warn.*\n"
    rb"\S+/resource_tracker\.py:\d+: UserWarning: resource_tracker: '\S+': \[Errno 2\] .*\n"
    rb"  warnings\.warn.*\n"
)
"""Python's own: of two processes that remove one semaphore at their end, the tracker may be the
second. Plain runs print it now and then."""


def check_script(case: Case, outcome: Outcome) -> None:
    """The script noticed nothing."""
    plain, recorded = outcome.plain, outcome.recorded
    assert plain.status == case.status, plain.stderr.decode()
    assert recorded.status == case.status, recorded.stderr.decode()
    assert outcome.output[1] == recorded.stdout
    if case.same_stdout:
        assert recorded.stdout == plain.stdout
    if case.same_stderr:
        assert RACE.sub(b"", outcome.output[2]) == RACE.sub(b"", plain.stderr)
    if case.ends_with_json:
        assert recorded.said["losses"] == plain.said["losses"]


def check_steps(case: Case, outcome: Outcome) -> None:
    """The steps are exact, one after the other, and made of phases."""
    main = {p.id for p in outcome.processes if p.rank is not None} or outcome.steps.keys()
    counts = [len(rows) for process_id, rows in outcome.steps.items() if process_id in main]
    if case.script == "forks.py":  # a forked child that trains is a process of its own
        counts = [max(counts)]
    assert counts == ([case.steps] * case.processes if case.steps else [])
    for rows in outcome.steps.values():
        assert [row.index for row in rows] == list(range(len(rows)))
        for row, following in pairwise(rows):
            assert row.end_ns <= following.start_ns + 1000
        for row in rows:
            known = {phase: getattr(row, f"{phase}_ns", None) for phase in LOADED}
            assert all(value is None or value >= 0 for value in known.values())
            assert sum(value or 0 for value in known.values()) <= row.duration_ns
            unknown = {phase for phase in case.phases if not known[phase]}
            if row.index == 0 and "input" not in case.phases:
                unknown.discard("forward")  # nothing tells when the first forward began
            assert not unknown, (row, known)
    if case.source is not None:
        sources = {p.step_source for p in outcome.processes if p.id in outcome.steps}
        assert sources == {case.source}


def check_summary(case: Case, summary: dict[str, Any]) -> None:
    """The contract's figures agree with each other."""
    assert summary["schema_version"] == 1
    assert summary["run"]["exit_status"] == case.status
    assert summary["losses"] == {"messages_dropped": 0, "windows_failed": 0, "probe_failures": []}
    assert [row["name"] for row in summary["run"]["frameworks"]] == ["torch"]
    figures = summary["steps"]
    if case.steps:
        phases = [value for value in figures["phases"].values() if value is not None]
        assert sum(phases) == pytest.approx(figures["mean_ns"], rel=0.01)
        assert figures["median_ns"] <= figures["p95_ns"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join([case.script, *case.arguments]))
def test_case(case: Case, tmp_path: Path) -> None:
    plain, recorded = both_ways(
        tmp_path,
        [*case.launcher, str(SCRIPTS / case.script), *case.arguments],
        options=case.options,
        stdin=case.stdin,
    )
    assert recorded.path.exists(), recorded.stderr.decode()
    outcome = outcome_of(plain, recorded)
    check_script(case, outcome)
    check_steps(case, outcome)
    check_summary(case, recorded.summary)
    case.check(outcome)
    assert recorded.leftovers == []
