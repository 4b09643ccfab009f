"""Waiting for input: how long, for which stage of the pipeline, and what to do about that one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fwtop.analysis.finders.facts import Facts, Finding
from fwtop.analysis.finders.steps import FEW_STEPS, INPUT_SHARE, phase_share
from fwtop.analysis.input_stages import BETWEEN, LOADER, last, waits
from fwtop.formatting import format_duration, format_ratio

BUSY_HOST = 0.90
NAMED_SHARE = 0.25
"""A stage with less of the wait than this is no bottleneck by itself."""
FEW_TRACED = 3
_NEXT = "IteratorGetNext"
"""Operators that hand the pipeline's next elements to the graph are called so."""
_PYTHON = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
"""Operators that call Python, which one thread at a time runs."""

_ADVICE = (
    ("Map", "map(function, num_parallel_calls=tf.data.AUTOTUNE), and batch before the map if the "
            "function can take a batch"),
    ("ParallelMap", "make the map's function cheaper, batch before it so that it works on a batch "
                    "at once, or cache() what it yields"),
    ("MapAndBatch", "make the map's function cheaper, batch before it so that it works on a batch "
                    "at once, or cache() what it yields"),
    ("Generator", "from_generator runs Python on one thread: read with tf.data's own readers, or "
                  "interleave several generators"),
    ("FlatMap", "interleave(function, cycle_length=…, num_parallel_calls=tf.data.AUTOTUNE) instead "
                "of flat_map"),
    ("Interleave", "interleave(…, num_parallel_calls=tf.data.AUTOTUNE)"),
    ("ParallelInterleave", "raise cycle_length, and let what is interleaved read less at a time"),
    ("Batch", "batch(…, num_parallel_calls=tf.data.AUTOTUNE), or smaller elements"),
    ("PaddedBatch", "bucket_by_sequence_length, so that less is padded, and prefetch behind it"),
    ("Shuffle", "shuffle what is small (file names, indices) before it is read and decoded; a "
                "smaller buffer fills sooner"),
    ("Filter", "filter before the dear stages, on what is small"),
    ("Prefetch", "what is before the prefetch is too slow: map(num_parallel_calls=AUTOTUNE), "
                 "cache, interleave"),
)  # fmt: skip
"""By the stage's name, less TensorFlow's version of it."""
_READER = (
    "read from several files at once: interleave(…, num_parallel_calls=tf.data.AUTOTUNE); cache() "
    "what fits into memory; look at the disk's or the network's speed"
)


@dataclass(frozen=True)
class _Wait:
    input_ns: float
    step_ns: float
    traced: bool
    """Whether the profiler alone saw it: the pipeline is within the graph."""

    @property
    def ratio(self) -> float:
        return self.input_ns / self.step_ns


@dataclass(frozen=True)
class _Bottleneck:
    path: str
    ratio: float
    """Of the wait."""


def input_bound(facts: Facts) -> Iterator[Finding]:
    """The step waits for its data. Overlapped loading does not show here: only the wait does."""
    waited = _wait(facts)
    if waited is None or waited.ratio <= INPUT_SHARE:
        return
    found = _bottleneck(facts)
    where = " in the traced steps" if waited.traced else ""
    why = (
        f"A step waits {format_duration(waited.input_ns)} of its "
        f"{format_duration(waited.step_ns)} for input ({format_ratio(waited.ratio)}){where}."
    )
    if found is not None:
        more, step = _about_stage(facts, found)
    elif facts.input_stages and not _only_loader(facts):
        more, step = "", "see the stages of the input pipeline in the operators' screen (t)"
    else:
        more, step = _about_workers(facts)
    yield Finding(
        code="input_bound",
        severity="warning",
        why=why + more,
        evidence={
            "input_ns": waited.input_ns,
            "step_ns": waited.step_ns,
            "input_ratio": waited.ratio,
            "worker_processes": facts.workers,
            "host_cpu_ratio": facts.host.cpu_ratio if facts.host else None,
            **({"stage": found.path, "stage_ratio": found.ratio} if found else {}),
        },
        next=step,
        cost_ratio=waited.ratio,
    )


def _wait(facts: Facts) -> _Wait | None:
    """From the steps' own phases; where none of them is input, from the traced steps."""
    ratio, mean_ns = phase_share(facts, "input"), facts.steps.mean_ns
    if ratio is not None and mean_ns:
        return _Wait(facts.steps.phases_ns["input"], mean_ns, traced=False)
    steps = sum(window.step_count for window in facts.windows)
    span_ns = sum(window.end_ns - window.start_ns for window in facts.windows)
    if not facts.input_stages or steps < FEW_TRACED or span_ns <= 0:
        return None
    if facts.steps.steady_count < FEW_STEPS:
        return None
    waited_ns = sum(
        row.self_ns
        for row in facts.operators
        if _NEXT in row.name and (row.phase, row.device) == ("input", "cpu")
    )
    # Replicas that wait side by side wait no longer than the step.
    return _Wait(min(waited_ns, span_ns) / steps, span_ns / steps, traced=True)


def _bottleneck(facts: Facts) -> _Bottleneck | None:
    blame = waits(facts.input_stages)
    whole = sum(blame.values())
    if not whole or _only_loader(facts):
        return None
    path = max(blame, key=lambda one: (blame[one], one))
    ratio = blame[path] / whole
    return _Bottleneck(path, ratio) if ratio >= NAMED_SHARE else None


def _only_loader(facts: Facts) -> bool:
    return all(stage.path == LOADER for stage in facts.input_stages)


def _about_stage(facts: Facts, found: _Bottleneck) -> tuple[str, str]:
    name = last(found.path)
    above = found.path.removesuffix(name).removesuffix(BETWEEN)
    why = f" {format_ratio(found.ratio)} of the wait is for the stage {name}"
    why += f" (in {above.replace(BETWEEN, ' › ')})." if above else "."
    kind = name.rstrip("0123456789").removesuffix("V")
    inner = any(stage.path.startswith(found.path + BETWEEN) for stage in facts.input_stages)
    step = dict(_ADVICE).get(kind)
    if step is None:
        step = "make this stage cheaper, or cache() what it yields" if inner else _READER
    python_ns = sum(
        row.self_ns for row in facts.operators if row.phase == "input" and row.name in _PYTHON
    )
    if "Map" in kind and python_ns:
        why += (
            f" Its function runs Python, {format_duration(python_ns / max(1, facts.steps_traced))}"
            " a step, which one thread at a time does."
        )
        step = "write the function in TensorFlow's operators instead of py_function; " + step
    if not any(last(stage.path) == "Prefetch" for stage in facts.input_stages):
        step += "; end the pipeline with prefetch(tf.data.AUTOTUNE)"
    return why, step


def _about_workers(facts: Facts) -> tuple[str, str]:
    workers = facts.workers
    busy = facts.host.cpu_ratio if facts.host else None
    more = ""
    if workers == 0:
        more = " The training process has no worker processes."
        step = "load in workers: DataLoader(num_workers=4, persistent_workers=True)"
    elif busy is not None and busy > BUSY_HOST:
        more = f" The host's CPU is {format_ratio(busy)} busy, so more workers alone will not help."
        step = "make the transforms cheaper, cache what they yield, or move them to the GPU"
    else:
        step = "raise num_workers and prefetch_factor"
    rest = "map(num_parallel_calls=AUTOTUNE), cache, prefetch(AUTOTUNE)"
    return more, f"{step}; pin_memory=True for a GPU; with tf.data: {rest}"
