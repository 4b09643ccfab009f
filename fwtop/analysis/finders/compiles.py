"""What compile events tell: recompiles, retraces, graph breaks, and the time they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from fwtop.analysis.finders.facts import Facts, Finding
from fwtop.formatting import ellipsis, format_duration, format_ratio, plural
from fwtop.recording.model import CompileEvent

COMPILE_SHARE = 0.10
COMPILE_NS = 5_000_000_000
MAX_REASON = 200
MANY = 2
"""Recompiles of one function from here on are a pattern."""
_STATE_REMEDY = (
    "one compile for each global state (gradients on and off, autocast) is usual; where they go "
    "on, call the function in one state, or wrap evaluation in the same context each time"
)


def recompiles(facts: Facts) -> Iterator[Finding]:
    """Functions that were compiled or traced again, the most frequent first in the words."""
    for kind, total, step in (
        (
            "recompile",
            facts.compile.recompiles,
            "keep shapes fixed (pad, drop_last=True), or mark what varies: "
            "torch._dynamo.mark_dynamic, torch.compile(dynamic=True)",
        ),
        (
            "retrace",
            facts.compile.retraces,
            "pass tensors for Python numbers, keep shapes fixed, or give the tf.function an "
            "input_signature",
        ),
    ):
        if not total:
            continue
        where, count, example = _most_frequent(facts.compile_reasons, kind)
        worst = _place(total, count, "of", where)
        yield Finding(
            code=f"{kind}s",
            severity="warning" if total >= MANY else "info",
            why=f"{plural(total, kind)}{worst}{_reason(example)}.",
            evidence={
                "count": total,
                "function": example.function if example else None,
                "file": example.file if example else None,
                "line": example.line if example else None,
                "function_count": count,
                "reason": example.reason if example else None,
            },
            next=_STATE_REMEDY if _is_state(example) else step,
            cost_ratio=_compile_share(facts),
        )


def graph_breaks(facts: Facts) -> Iterator[Finding]:
    """A graph fell into pieces."""
    total = facts.compile.graph_breaks
    if not total:
        return
    where, count, example = _most_frequent(facts.compile_reasons, "graph_break")
    at = _place(total, count, "in", where)
    yield Finding(
        code="graph_breaks",
        severity="warning",
        why=f"{plural(total, 'graph break')}{at}{_reason(example)}.",
        evidence={
            "count": total,
            "function": example.function if example else None,
            "file": example.file if example else None,
            "line": example.line if example else None,
            "reason": example.reason if example else None,
        },
        next="move what breaks the graph (.item(), print, data-dependent ifs) out of the compiled "
        "function; torch.compile(fullgraph=True) shows each one as an error",
    )


def compile_time(facts: Facts) -> Iterator[Finding]:
    """Compiling took a good part of the run."""
    share = _compile_share(facts)
    if share <= COMPILE_SHARE or facts.compile.total_ns < COMPILE_NS:
        return
    misses = facts.compile.cache_misses
    cached = f", with {plural(misses, 'cache miss', 'cache misses')}" if misses else ""
    yield Finding(
        code="compile_time",
        severity="info",
        why=f"Compiling and tracing took {format_duration(facts.compile.total_ns)}, "
        f"{format_ratio(share)} of the run{cached}.",
        evidence={
            "total_ns": facts.compile.total_ns,
            "duration_ns": facts.duration_ns,
            "count": facts.compile.count,
            "cache_misses": misses,
            "cache_hits": facts.compile.cache_hits,
        },
        next="it pays off in longer runs; keep the compile cache between runs "
        "(TORCHINDUCTOR_CACHE_DIR on a disk that stays)",
        cost_ratio=share,
    )


def _is_state(example: CompileEvent | None) -> bool:
    """Whether Dynamo's guard on global state failed, and not one on an argument."""
    return example is not None and (example.reason or "").startswith("GLOBAL_STATE")


def _compile_share(facts: Facts) -> float:
    return facts.compile.total_ns / facts.duration_ns if facts.duration_ns else 0.0


def _place(total: int, count: int, word: str, where: str | None) -> str:
    """Where they come from, as the sentence goes on: ` in f`, `, 3 in f`, or nothing."""
    if where is None:
        return ""
    return f" {word} {where}" if count == total else f", {count} {word} {where}"


def _reason(event: CompileEvent | None) -> str:
    """An event's reason as the end of a sentence: its first line, bounded."""
    lines = (event.reason or "").strip().splitlines() if event else []
    return f": {ellipsis(lines[0], MAX_REASON).rstrip('.')}" if lines else ""


def _most_frequent(
    events: Sequence[CompileEvent], kind: str
) -> tuple[str | None, int, CompileEvent | None]:
    """Where most events of a kind come from, in words; how many; and the latest of those."""
    places = Counter(
        (event.function, event.file, event.line) for event in events if event.kind == kind
    )
    if not places:
        return None, 0, None
    (place, count), *_ = places.most_common(1)
    latest = [e for e in events if e.kind == kind and (e.function, e.file, e.line) == place][-1]
    function, file, line = place
    where = function or ""
    if file:
        spot = file.rpartition("/")[2] + (f":{line}" if line is not None else "")
        where = f"{where} ({spot})" if where else spot
    return where or None, count, latest
