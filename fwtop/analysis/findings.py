"""Findings: what is wrong with a run, the evidence, and what to do next: figures or silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fwtop.analysis.finders import compiles, devices, host, input_wait, kernels, recorder, steps
from fwtop.analysis.finders.facts import SEVERITIES, Facts, Finding

__all__ = ["FINDERS", "Facts", "Finding", "find"]

FINDERS: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    input_wait.input_bound,
    steps.copies,
    steps.outside_phases,
    steps.slow_first_step,
    steps.uneven_steps,
    steps.no_steps,
    compiles.recompiles,
    compiles.graph_breaks,
    compiles.compile_time,
    devices.gpu_idle,
    devices.gpu_underused,
    devices.throttling,
    devices.memory_near_limit,
    devices.allocator,
    kernels.launch_bound,
    kernels.small_kernels,
    kernels.low_occupancy,
    kernels.tensor_cores_unused,
    kernels.exposed_communication,
    host.threads,
    host.one_core,
    host.contention,
    host.host_memory,
    recorder.overhead,
    recorder.losses,
    recorder.failed_hooks,
    recorder.failed_parts,
)


def find(facts: Facts) -> tuple[Finding, ...]:
    """All findings, the gravest first, then by the time at stake."""
    found = [finding for finder in FINDERS for finding in finder(facts)]
    return tuple(sorted(found, key=lambda one: (SEVERITIES.index(one.severity), -one.cost_ratio)))
