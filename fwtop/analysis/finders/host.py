"""What the host tells: too many or too few threads, memory that runs out."""

from __future__ import annotations

from collections.abc import Iterator

from fwtop.analysis.finders.facts import Facts, Finding
from fwtop.formatting import format_bytes, format_ratio, plural

HOST_MEMORY_SHARE = 0.95
BUSY_HOST = 0.90
OTHERS_SHARE = 0.25
"""Of all cores, busy with what is not of the run."""
ONE_CORE = 1.2
MANY_CORES = 4
FEW_STEPS = 10


def threads(facts: Facts) -> Iterator[Finding]:
    """OMP_NUM_THREADS asks for more threads than there are cores, over the run's ranks."""
    asked = facts.run.environment.get("OMP_NUM_THREADS", "")
    cores = facts.cores
    if not asked.isascii() or not asked.isdigit() or not cores or len(asked) > 6:
        return
    ranks = len({process.host for process in facts.processes}) == 1 and len(
        [process for process in facts.processes if process.rank is not None]
    )
    total = int(asked) * max(1, int(ranks))
    if total <= cores:
        return
    yield Finding(
        code="cpu_oversubscribed",
        severity="warning",
        why=f"OMP_NUM_THREADS={asked} in {plural(max(1, int(ranks)), 'process', 'processes')} asks "
        f"for {total} threads on {plural(cores, 'core')}.",
        evidence={"threads": total, "cores": cores, "processes": max(1, int(ranks))},
        next=f"set OMP_NUM_THREADS to {max(1, cores // max(1, int(ranks)))}, or "
        "torch.set_num_threads in the script",
    )


def one_core(facts: Facts) -> Iterator[Finding]:
    """Training on the CPU keeps one core busy where there are many."""
    cores, host = facts.cores, facts.host
    if not facts.on_cpu or host is None or host.run_cpu_ratio is None or not cores:
        return
    if cores < MANY_CORES or host.run_cpu_ratio > ONE_CORE or facts.steps.count < FEW_STEPS:
        return
    asked = facts.run.environment.get("OMP_NUM_THREADS")
    named = f" OMP_NUM_THREADS is {asked}." if asked is not None else ""
    yield Finding(
        code="cpu_one_core",
        severity="warning" if asked == "1" else "info",
        why=f"Training on the CPU, the run keeps {host.run_cpu_ratio:.1f} of {cores} cores busy."
        + named,
        evidence={"run_cpu_ratio": host.run_cpu_ratio, "cores": cores, "omp_num_threads": asked},
        next="raise OMP_NUM_THREADS or torch.set_num_threads; small tensors do not parallelise, "
        "so larger batches may be needed too",
    )


def contention(facts: Facts) -> Iterator[Finding]:
    """The host's CPU is full, and much of it goes to others."""
    cores, host = facts.cores, facts.host
    if host is None or host.cpu_ratio is None or host.run_cpu_ratio is None or not cores:
        return
    others = host.cpu_ratio * cores - host.run_cpu_ratio - (host.recorder_cpu_ratio or 0)
    if host.cpu_ratio < BUSY_HOST or others < OTHERS_SHARE * cores:
        return
    yield Finding(
        code="cpu_contention",
        severity="warning",
        why=f"The host's CPU is {format_ratio(host.cpu_ratio)} busy: the run keeps "
        f"{host.run_cpu_ratio:.1f} of {plural(cores, 'core')} busy, other programs {others:.1f}.",
        evidence={
            "host_cpu_ratio": host.cpu_ratio,
            "run_cpu_ratio": host.run_cpu_ratio,
            "others_cpu_ratio": others,
            "cores": cores,
        },
        next="see who it is (top), and train when they are done; timings taken meanwhile are noisy",
        cost_ratio=others / cores,
    )


def host_memory(facts: Facts) -> Iterator[Finding]:
    """The host's memory is almost full."""
    host = facts.host
    if host is None or host.memory_used_bytes is None or not host.memory_total_bytes:
        return
    share = host.memory_used_bytes / host.memory_total_bytes
    if share < HOST_MEMORY_SHARE:
        return
    yield Finding(
        code="host_memory_near_limit",
        severity="warning",
        why=f"The host has {format_bytes(host.memory_used_bytes)} of "
        f"{format_bytes(host.memory_total_bytes)} in use ({format_ratio(share)}); the run "
        f"{format_bytes(host.run_rss_bytes)}.",
        evidence={
            "used_bytes": host.memory_used_bytes,
            "total_bytes": host.memory_total_bytes,
            "rss_bytes": host.run_rss_bytes,
        },
        next="fewer workers, a smaller prefetch_factor, or cached data in files that are mapped",
    )
