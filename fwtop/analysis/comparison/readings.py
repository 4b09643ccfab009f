"""Every figure of one run that a comparison shows: steps, phases, compiles, host.

The metrics' names here are those of `--fail-on`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fwtop.analysis.comparison.bootstrap import quantile
from fwtop.analysis.comparison.device_readings import device_readings
from fwtop.analysis.comparison.facts import RunFacts
from fwtop.analysis.comparison.reading import HIGHER, LOWER, NEITHER, Reading
from fwtop.analysis.comparison.significance import Estimate
from fwtop.analysis.comparison.steps import run_median, time_a_sample
from fwtop.analysis.comparison.traced_readings import traced_readings
from fwtop.recording.model import PHASES


def readings(run: RunFacts) -> Iterator[Reading]:
    """Every figure of a run; what it does not know has no value."""
    yield from _steps(run)
    yield from _phases(run)
    yield from _throughput(run)
    yield from _compile(run)
    yield from device_readings(run)
    yield from traced_readings(run)
    yield from _host(run)


def _steps(run: RunFacts) -> Iterator[Reading]:
    steps, apart = run.facts.steps, run.apart
    first = run.facts.first_step
    resampled = run.resampled
    middle, late = quantile(run.durations, 0.5), resampled.quantile(0.95)
    yield _steady("step_time", "median step", middle, run_median(run))
    yield _steady("step_time.mean", "mean step", steps.mean_ns, _about(run, steps.mean_ns))
    yield _steady("step_time.p95", "95th percentile", quantile(run.durations, 0.95), late)
    size = run.samples_per_step
    each = middle / size if middle is not None and size else None
    yield _steady("sample_time", "median a sample", each, time_a_sample(run))
    yield Reading("samples_per_step", "steps", "samples a step", "count", NEITHER, size)
    yield _step("step_time.first", "warm-up (first step)", first.duration_ns if first else None)
    yield _step(
        "step_time.traced",
        "mean traced step",
        apart.traced_ns / apart.traced_count if apart.traced_count else None,
    )
    yield Reading("steps", "steps", "steps", "count", NEITHER, steps.count)
    yield Reading("duration", "steps", "duration of the run", "ns", NEITHER, run.facts.duration_ns)


def _phases(run: RunFacts) -> Iterator[Reading]:
    known = run.facts.steps.phases_ns
    for phase in PHASES:
        mean_ns = known.get(phase)
        estimate = None
        if mean_ns is not None:
            estimate = _about(run, mean_ns, run.phase(phase))
        yield Reading(f"phase[{phase}]", "phases", phase, "ns", LOWER, mean_ns, estimate, True)


def _throughput(run: RunFacts) -> Iterator[Reading]:
    steps = run.facts.steps
    error = _relative_error(run)
    for metric, label, value in (
        ("throughput.samples", "samples a second", steps.samples_per_s),
        ("throughput.steps", "steps a second", steps.steps_per_s),
    ):
        estimate = None
        if value is not None and error is not None:
            estimate = Estimate(value, value * error.error, error.freedom)
        yield Reading(metric, "throughput", label, "per_s", HIGHER, value, estimate, True)


def _compile(run: RunFacts) -> Iterator[Reading]:
    totals = run.facts.compile
    if run.facts.process is None:
        return
    for metric, label, value, better in (
        ("compile.count", "compiles", totals.count, LOWER),
        ("compile.recompiles", "recompiles", totals.recompiles, LOWER),
        ("compile.graph_breaks", "graph breaks", totals.graph_breaks, LOWER),
        ("compile.retraces", "retraces", totals.retraces, LOWER),
        ("compile.cache_hits", "cache hits", totals.cache_hits, HIGHER),
        ("compile.cache_misses", "cache misses", totals.cache_misses, LOWER),
        ("compile.cache_bypasses", "cache bypasses", totals.cache_bypasses, LOWER),
    ):
        yield Reading(metric, "compile", label, "count", better, value)
    yield Reading("compile.time", "compile", "compile time", "ns", LOWER, totals.total_ns)
    yield Reading(
        "compile.steps_time",
        "compile",
        "in steps after the first that compiled",
        "ns",
        LOWER,
        run.apart.compiled_ns,
    )


def _host(run: RunFacts) -> Iterator[Reading]:
    host, facts = run.facts.host, run.facts
    governor = facts.governor
    for metric, label, unit, better, value in (
        ("host.cpu", "CPU of all cores", "ratio", NEITHER, host.cpu_ratio if host else None),
        ("host.run_cpu", "cores that the run held", "count", NEITHER,
         host.run_cpu_ratio if host else None),
        ("host.contention", "cores held by others, none free", "ratio", LOWER,
         run.contention_ratio),
        ("host.memory", "memory used", "bytes", LOWER, host.memory_used_bytes if host else None),
        ("overhead", "fwtop's own cost", "ratio", NEITHER,
         governor.measured_ratio if governor else None),
    ):  # fmt: skip
        yield Reading(metric, "host", label, unit, better, value)


def _step(metric: str, label: str, value: float | None) -> Reading:
    return Reading(metric, "steps", label, "ns", LOWER, value)


def _steady(metric: str, label: str, value: float | None, estimate: Estimate | None) -> Reading:
    return Reading(metric, "steps", label, "ns", LOWER, value, estimate, of_steps=True)


def _about(
    run: RunFacts, value: float | None, series: Sequence[float] | None = None
) -> Estimate | None:
    """A mean over all steady steps, with the error that the sampled ones tell."""
    error = _relative_error(run, series)
    if value is None or error is None:
        return None
    return Estimate(value, value * error.error, error.freedom)


def _relative_error(run: RunFacts, series: Sequence[float] | None = None) -> Estimate | None:
    mean = run.resampled.mean(series)
    return Estimate(1, mean.error / mean.value, mean.freedom) if mean and mean.value > 0 else None
