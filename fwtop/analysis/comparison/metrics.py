"""The names of what can be compared: `--fail-on`'s metrics, and what each is.

`fwtop.analysis.comparison.figures` yields the figures; a name that is here and not there, or the
other way round, is a mistake.
"""

from __future__ import annotations

METRICS = {
    "step_time": ("ns", "the median step"),
    "step_time.mean": ("ns", "the mean step"),
    "step_time.p95": ("ns", "the 95th percentile of the steps"),
    "step_time.first": ("ns", "the first step: warm-up"),
    "step_time.traced": ("ns", "the mean traced step"),
    "sample_time": ("ns", "the median step over its samples"),
    "samples_per_step": ("count", "samples a step"),
    "steps": ("count", "how many steps"),
    "duration": ("ns", "of the run"),
    "throughput": ("per_s", "samples a second; steps, where samples are not known"),
    "throughput.samples": ("per_s", "samples a second"),
    "throughput.steps": ("per_s", "steps a second"),
    "compile.count": ("count", "compiles and traces"),
    "compile.recompiles": ("count", "recompiles"),
    "compile.graph_breaks": ("count", "graph breaks"),
    "compile.retraces": ("count", "retraces"),
    "compile.cache_hits": ("count", "answers of compile caches"),
    "compile.cache_misses": ("count", "the same, not found"),
    "compile.cache_bypasses": ("count", "the same, not asked"),
    "compile.time": ("ns", "time compiling"),
    "compile.steps_time": ("ns", "time in steps after the first that compiled"),
    "memory.peak": ("bytes", "allocated on a device at most"),
    "memory.reserved_peak": ("bytes", "reserved on a device at most"),
    "memory.rss": ("bytes", "host memory of the run at most"),
    "kernels.busy": ("ratio", "device busy in traced steps"),
    "kernels.utilization": ("ratio", "of the traced steps, some kernel ran"),
    "kernels.sm_efficiency": ("ratio", "of the multiprocessors' time, they had a block"),
    "kernels.occupancy": ("ratio", "estimated achieved occupancy of the kernels"),
    "kernels.tensor_cores": ("ratio", "of the kernels' time, that on tensor cores"),
    "kernels.overlap": ("ratio", "communication beside compute"),
    "kernels.host_wait": ("ns", "a traced step's waits for the host"),
    "kernels.kernel_wait": ("ns", "a traced step's waits between kernels"),
    "kernels.launches": ("count", "launches a traced step"),
    "kernels.queue_max": ("count", "launched and not yet begun on a stream, at most"),
    "kernels.launch_delay": ("ns", "median, from the launch's end to the kernel's start"),
    "kernels.launch_delay.mean": ("ns", "the mean of the same"),
    "kernels.launch_delay.p95": ("ns", "its 95th percentile"),
    "mfu": ("ratio", "model FLOPs utilisation, of the devices' peak"),
    "flops": ("flops", "a step's floating point operations, from deep windows"),
    "flops.rate": ("flops_per_s", "the same over the steps' time"),
    "gpu.utilization": ("ratio", "mean of the GPUs that are used; gpu[1].utilization is of one"),
    "gpu.memory": ("bytes", "memory used at most"),
    "gpu.power": ("watts", "mean power"),
    "gpu.temperature": ("celsius", "highest temperature"),
    "gpu.throttled": ("ratio", "share of the readings with clocks held down"),
    "host.cpu": ("ratio", "of all cores"),
    "host.run_cpu": ("count", "cores that the run held"),
    "host.contention": ("ratio", "cores held by other programs while none was free"),
    "host.memory": ("bytes", "memory used on the host"),
    "overhead": ("ratio", "fwtop's own cost"),
    "findings": ("count", "how many findings; findings[input_bound] is of one code"),
}
"""Metrics without an argument: unit, and what it is."""
NAMED = {
    "phase": ("ns", "backward", "mean of a phase; of input, h2d, forward … other"),
    "step_class": ("ns", "kernel", "of a traced step's time; kernel, memcpy … cpu_op, other"),
    "input_stage": ("ns", "Prefetch::Map", "a stage's self time a traced step, by its path"),
    "memory_holder": ("bytes", "OPERATOR", "held by an operator at a deep window's peak"),
}
"""Metrics of a name in brackets that have no attributes: unit, an example, and what it is."""
WORK = {
    "operator": {"self": "ns", "total": "ns", "calls": "count"},
    "family": {"self": "ns", "calls": "count"},
    "kernel": {"total": "ns", "calls": "count"},
}
"""Metrics of a name in brackets, per traced step: attributes and units; the first is the default.
`operator[NAME].gpu.self` and `.cpu.self` choose the device: the GPU by default, where it ran there.
"""
DEVICES = ("cpu", "gpu")

FINDINGS = (
    "allocator_retries",
    "communication_exposed",
    "compile_time",
    "copy_bound",
    "cpu_contention",
    "cpu_one_core",
    "cpu_oversubscribed",
    "gpu_idle",
    "gpu_underused",
    "graph_breaks",
    "host_memory_near_limit",
    "input_bound",
    "launch_bound",
    "low_occupancy",
    "memory_near_limit",
    "messages_dropped",
    "no_steps",
    "out_of_memory",
    "over_budget",
    "probe_failures",
    "recompiles",
    "retraces",
    "slow_first_step",
    "small_kernels",
    "tensor_cores_unused",
    "throttling",
    "time_outside_phases",
    "uneven_steps",
    "windows_failed",
)
"""Codes of findings, to tell one that is misspelt from one that no run has."""
