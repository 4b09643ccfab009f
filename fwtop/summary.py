"""One Summary of a run, which every view renders: queries and analysis put together.

Which figures are of what:
- `steps` is of the lowest-rank process that has steps. `count` counts all its steps; the means and
  quantiles are of the steady ones (see `fwtop.analysis.steps`): without the first, the traced and
  the compiled, unless no other is left. Quantiles are within 1 %.
- `compile` is of the same process, so that ranks that compile side by side do not add up.
- `operators` and `kernels` are per traced step, over the counted windows of all processes.
- `devices` and `host` are means from the first step's end on (memory: the highest), `memory` the
  highest of any process and device.
- With `until_ns`, all is as it was then; what the recording keeps only the latest of (the windows'
  bookkeeping, the processes) is the latest.
"""

from __future__ import annotations

from collections.abc import Iterable

from fwtop import json_output
from fwtop.analysis import device_summary, traced_summary
from fwtop.analysis import findings as finding_analysis
from fwtop.analysis.backends import backend_of
from fwtop.analysis.device_use import device_use
from fwtop.analysis.findings import Facts, Finding
from fwtop.analysis.steps import StepFigures, figures
from fwtop.analysis.summary_model import (
    SCHEMA_VERSION,
    CacheSummary,
    CompileEventSummary,
    CompileSummary,
    DeviceSummary,
    FindingSummary,
    FrameworkSummary,
    HostSummary,
    LossesSummary,
    MemorySummary,
    OperatorsSummary,
    OperatorSummary,
    OverheadSummary,
    ProcessSummary,
    RunSummary,
    StepsSummary,
    Summary,
)
from fwtop.queries import (
    compiles,
    device_time,
    devices,
    host,
    memory,
    memory_peaks,
    operators,
    run,
    steps,
)
from fwtop.queries.flops_use import flops_use, peak_flops_per_s
from fwtop.queries.input_stages import input_stages
from fwtop.recording.model import Framework, Governor, Run
from fwtop.recording.store import Recording

__all__ = ["SCHEMA_VERSION", "Summary", "gather", "of_facts", "summarize", "to_json"]

MAX_COMPILE_EVENTS = 200
"""Newest kept in a summary; the counts are of all."""

_REASONS = ("recompile", "retrace", "graph_break")
_LISTED = ("compile", "trace", "retrace", "recompile", "graph_break", "xla", "fallback")


def summarize(recording: Recording, until_ns: int | None = None) -> Summary:
    """Sum a recording up. Raises RecordingError if it is damaged or another version's."""
    return of_facts(recording, gather(recording, until_ns), until_ns)


def of_facts(recording: Recording, facts: Facts, until_ns: int | None = None) -> Summary:
    """The summary of a recording whose facts have been gathered, until the same moment."""
    frameworks = run.frameworks(recording)
    return Summary(
        schema_version=SCHEMA_VERSION,
        run=_run(facts, frameworks),
        steps=_steps(facts.steps),
        processes=_processes(facts, frameworks, steps.counts(recording, until_ns)),
        operators=_operators(facts),
        kernels=device_summary.kernels(facts),
        compile=_compile(recording, facts, until_ns),
        devices=_devices(facts),
        host=_host(facts),
        memory=_memory(facts),
        overhead=_overhead(facts),
        findings=tuple(_finding(finding) for finding in finding_analysis.find(facts)),
        losses=_losses(facts),
        step_breakdown=device_summary.step_breakdown(facts),
        flops=device_summary.flops(facts),
        input_pipeline=traced_summary.input_pipeline(facts),
    )


def gather(recording: Recording, until_ns: int | None = None) -> Facts:
    """All that a summary and its findings rest on."""
    the_run = run.get_run(recording)
    processes = run.processes(recording)
    lead = steps.lead_process(recording)
    first = steps.first_step(recording, lead) if lead is not None else None
    if first is not None and until_ns is not None and first.end_ns > until_ns:
        first = None
    since_ns = first.end_ns if first else 0
    end_ns = None if until_ns is None else until_ns + 1
    chosen = operators.window_ids(recording, until_ns=until_ns)
    every_window = operators.windows(recording, until_ns=until_ns)
    wanted = set(chosen)
    notices = run.notices(recording)
    if until_ns is not None:
        notices = [notice for notice in notices if notice.at_ns <= until_ns]
    failed = sum(window.state == "failed" for window in every_window)
    found = devices.devices(recording)
    step_figures = figures(
        steps.totals(recording, lead, until_ns), steps.set_apart(recording, lead, until_ns)
    )
    return Facts(
        run=the_run,
        duration_ns=_duration_ns(recording, the_run, until_ns),
        steps=step_figures,
        first_step=first,
        processes=tuple(processes),
        process=next((process for process in processes if process.id == lead), None),
        compile=compiles.totals(recording, until_ns, lead),
        compile_reasons=tuple(
            compiles.events(recording, until_ns=until_ns, kinds=_REASONS, process_id=lead)
        ),
        windows=tuple(window for window in every_window if window.id in wanted),
        failed_windows=failed + sum(notice.code == "window_failed" for notice in notices),
        operators=tuple(operators.operators(recording, chosen)),
        steps_traced=operators.traced_steps(recording, chosen),
        devices=tuple(found),
        device_means={s.device_id: s for s in devices.means(recording, since_ns, end_ns)},
        throttled=devices.throttled(recording, until_ns),
        host=host.mean(recording, since_ns, end_ns),
        host_processes=tuple(host.host_processes(recording)),
        memory_peaks=tuple(memory.peaks(recording, until_ns)),
        out_of_memory=tuple(memory.out_of_memory(recording, until_ns)),
        governor=_governor(run.governors(recording), lead),
        notices=tuple(notices),
        kernels=tuple(operators.kernels(recording, chosen)),
        device_use=device_use(
            device_time.device_times(recording, chosen),
            device_time.launch_delays(recording, chosen),
        ),
        step_classes=device_time.step_class_sums(recording, chosen),
        flops=flops_use(recording, step_figures.mean_ns, peak_flops_per_s(found), until_ns),
        input_stages=tuple(input_stages(recording, chosen)),
        window_memory=tuple(
            (peak, tuple(memory_peaks.holders(recording, peak.window_id, peak.device)))
            for peak in memory_peaks.memory_peaks(recording, until_ns)
        ),
    )


def to_json(summary: Summary) -> bytes:
    """The contract's JSON, on one line without its end."""
    return json_output.encode(summary)


def _duration_ns(recording: Recording, the_run: Run, until_ns: int | None) -> int:
    """How long it took: as far as the recording reaches, where its end is unknown."""
    reached = the_run.duration_ns
    if reached is None:
        last = steps.latest_steps(recording, 1)
        sample = host.latest(recording)
        reached = max(last[0].end_ns if last else 0, sample.at_ns if sample else 0)
    return reached if until_ns is None else min(reached, until_ns)


def _governor(governors: list[Governor], lead: int | None) -> Governor | None:
    """The lead process's, or the dearest one where it has none."""
    own = [governor for governor in governors if governor.process_id == lead]
    return max(own or governors, key=lambda one: one.measured_ratio or 0, default=None)


def _run(facts: Facts, frameworks: list[Framework]) -> RunSummary:
    the_run = facts.run
    sizes = [process.world_size for process in facts.processes if process.world_size is not None]
    return RunSummary(
        id=the_run.id,
        command=the_run.command,
        started_unix_ns=the_run.started_unix_ns,
        duration_ns=facts.duration_ns or the_run.duration_ns,
        exit_status=the_run.exit_status,
        host=the_run.host,
        frameworks=tuple(
            FrameworkSummary(name, version)
            for name, version in sorted({(one.name, one.version) for one in frameworks})
        ),
        world_size=max(sizes, default=None),
    )


def _steps(steps_figures: StepFigures) -> StepsSummary:
    return StepsSummary(
        count=steps_figures.count,
        mean_ns=_rounded(steps_figures.mean_ns),
        median_ns=steps_figures.median_ns,
        p95_ns=steps_figures.p95_ns,
        phases={phase: round(mean, 1) for phase, mean in steps_figures.phases_ns.items()},
    )


def _processes(
    facts: Facts, frameworks: list[Framework], counts: dict[int, int]
) -> tuple[ProcessSummary, ...]:
    by_process: dict[int, list[Framework]] = {}
    for framework in frameworks:
        by_process.setdefault(framework.process_id, []).append(framework)
    return tuple(
        ProcessSummary(
            pid=process.pid,
            rank=process.rank,
            local_rank=process.local_rank,
            framework=backend_of(by_process.get(process.id, ())),
            steps=counts.get(process.id, 0),
        )
        for process in facts.processes
    )


def _operators(facts: Facts) -> OperatorsSummary:
    per = max(1, facts.steps_traced)
    return OperatorsSummary(
        windows=len(facts.windows),
        steps_traced=facts.steps_traced,
        rows=tuple(
            OperatorSummary(
                name=row.name,
                family=row.family,
                phase=row.phase,
                device=row.device,
                calls=round(row.calls / per, 3),
                self_ns=round(row.self_ns / per, 1),
                total_ns=round(row.total_ns / per, 1),
            )
            for row in facts.operators
        ),
    )


def _compile(recording: Recording, facts: Facts, until_ns: int | None) -> CompileSummary:
    totals = facts.compile
    lead = facts.process.id if facts.process else None
    events = compiles.events(
        recording, until_ns=until_ns, kinds=_LISTED, limit=MAX_COMPILE_EVENTS, process_id=lead
    )
    return CompileSummary(
        count=totals.count,
        total_ns=totals.total_ns,
        graph_breaks=totals.graph_breaks,
        recompiles=totals.recompiles,
        retraces=totals.retraces,
        cache=CacheSummary(totals.cache_hits, totals.cache_misses, totals.cache_bypasses),
        events=tuple(
            CompileEventSummary(
                kind=event.kind,
                at_ns=event.start_ns,
                duration_ns=event.duration_ns,
                function=event.function,
                file=event.file,
                line=event.line,
                reason=event.reason,
            )
            for event in events
        ),
    )


def _devices(facts: Facts) -> tuple[DeviceSummary, ...]:
    rows = []
    for device in facts.devices:
        mean = facts.device_means.get(device.id)
        rows.append(
            DeviceSummary(
                vendor=device.vendor,
                index=device.index,
                name=device.name,
                uuid=device.uuid,
                utilization_ratio=mean.utilization_ratio if mean else None,
                memory_used_bytes=mean.memory_used_bytes if mean else None,
                memory_total_bytes=device.memory_total_bytes,
                power_w=_rounded(mean.power_w) if mean else None,
            )
        )
    return tuple(rows)


def _host(facts: Facts) -> HostSummary:
    sample = facts.host
    return HostSummary(
        cpu_ratio=sample.cpu_ratio if sample else None,
        memory_used_bytes=sample.memory_used_bytes if sample else None,
        rss_bytes=sample.run_rss_bytes if sample else None,
    )


def _memory(facts: Facts) -> MemorySummary:
    """The highest of the peaks told, or of the readings where no peak was told."""
    peaks = facts.memory_peaks
    return MemorySummary(
        allocated_peak_bytes=_highest(
            value for peak in peaks for value in (peak.allocated_peak_bytes, peak.allocated_bytes)
        ),
        reserved_peak_bytes=_highest(
            value for peak in peaks for value in (peak.reserved_peak_bytes, peak.reserved_bytes)
        ),
        peak_holders=traced_summary.peak_holders(facts),
    )


def _overhead(facts: Facts) -> OverheadSummary:
    governor = facts.governor
    return OverheadSummary(
        budget_ratio=governor.budget_ratio if governor else None,
        measured_ratio=governor.measured_ratio if governor else None,
        windows=len(facts.windows),
    )


def _finding(finding: Finding) -> FindingSummary:
    evidence = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in finding.evidence.items()
    }
    return FindingSummary(finding.code, finding.severity, finding.why, evidence, finding.next)


def _losses(facts: Facts) -> LossesSummary:
    return LossesSummary(
        messages_dropped=sum(process.messages_dropped for process in facts.processes),
        windows_failed=facts.failed_windows,
        probe_failures=tuple(
            notice.text for notice in facts.notices if notice.code == "probe_failure"
        ),
    )


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
