"""What only deep windows tell: operators by shape, module and source line, memory and FLOPs."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from fwtop.analysis.nesting import NOBODY, Nest, innermost, parents
from fwtop.analysis.phases import Segments
from fwtop.analysis.results import DetailFigures
from fwtop.traces.model import LAUNCH, ThreadKey, TraceWindow, Track

NO_OPERATORS = ("ProfilerStep#", "PyTorch Profiler")
"""Ranges that enclose operators and are none."""
_NEVER = -(1 << 62)
_MODULE = "nn.Module: "
_LIBRARY_NAMES = """
torch torchvision torchaudio torchdata triton functorch numpy tqdm transformers accelerate datasets
lightning pytorch_lightning lightning_fabric deepspeed keras tensorflow jax einops timm apex
xformers flash_attn
"""
_LIBRARIES = frozenset(_LIBRARY_NAMES.split())
"""Whose source lines are nobody's own. Kineto writes paths relative to sys.path, so that a user's
`train.py` and a library's `torch/nn/…` look alike but for their first part."""


def details(nests: Sequence[Nest], frames: Sequence[Track]) -> Iterator[DetailFigures]:
    """Operators by input shape, module and source line; nothing for a window that is not deep."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    frames_of = {track.thread: track for track in frames}
    deep = [n for n in nests if n.track.shapes or n.track.stacks or n.track.modules or frames_of]
    places = [_places(nest.track, frames_of.get(nest.track.thread)) for nest in deep]
    modules_of_sequence: dict[int, str] = {}
    for nest, (modules, _) in zip(deep, places, strict=True):
        for sequence, module in zip(nest.track.sequences or (), modules, strict=False):
            if module and sequence >= 0:
                modules_of_sequence.setdefault(sequence, module)
    for nest, (modules, sources) in zip(deep, places, strict=True):
        if modules_of_sequence:
            _join_backward(nest, modules, modules_of_sequence)
        for kind, values in (
            ("shape", nest.track.shapes), ("module", modules), ("source", sources),
        ):  # fmt: skip
            if values is not None and any(values):
                _sum(sums, kind, values, nest)
    for (name, kind, value), (calls, self_ns, total_ns, _) in sums.items():
        if not name.startswith(NO_OPERATORS):
            yield DetailFigures(name, kind, value, calls, self_ns, total_ns)


def _sum(
    sums: dict[tuple[str, str, str], list[int]], kind: str, values: Sequence[str], nest: Nest
) -> None:
    track = nest.track
    for row in sums.values():
        row[3] = _NEVER
    for value, name, event_kind, start, duration, own in zip(
        values, track.names, track.kinds, track.start_ns, track.duration_ns, nest.self_ns,
        strict=True,
    ):  # fmt: skip
        if not value or event_kind == LAUNCH:
            continue
        row = sums.get((name, kind, value)) or sums.setdefault(
            (name, kind, value), [0, 0, 0, _NEVER]
        )
        row[0] += 1
        row[1] += own
        if start >= row[3]:
            row[2] += duration
            row[3] = start + duration


def _join_backward(nest: Nest, modules: list[str], of_sequence: Mapping[int, str]) -> None:
    """A backward operator is of the module whose forward had its sequence number."""
    if nest.track.sequences is None:
        return
    for i, (sequence, above) in enumerate(zip(nest.track.sequences, nest.parents, strict=True)):
        if not modules[i]:
            inherited = "" if above == NOBODY else modules[above]
            modules[i] = of_sequence.get(sequence, inherited) if sequence >= 0 else inherited


def _places(track: Track, frames: Track | None) -> tuple[list[str], list[str]]:
    """For each operator its innermost module and its innermost line of the user's, "" for none."""
    modules = list(track.modules) if track.modules else [""] * len(track)
    sources = [_user_line(s) for s in track.stacks] if track.stacks else [""] * len(track)
    if frames is None or not len(frames):
        return modules, sources
    parent = parents(frames.start_ns, frames.duration_ns)
    module_of, source_of = _inherited(frames.names, parent)
    stack: list[int] = []
    position, count = 0, len(frames)
    for i, start in enumerate(track.start_ns):
        while position < count and frames.start_ns[position] <= start:
            stack.append(position)
            position += 1
        while stack and frames.start_ns[stack[-1]] + frames.duration_ns[stack[-1]] <= start:
            stack.pop()
        if stack:
            modules[i] = modules[i] or module_of[stack[-1]]
            sources[i] = sources[i] or source_of[stack[-1]]
    return modules, sources


def _inherited(names: Sequence[str], parent: Sequence[int]) -> tuple[list[str], list[str]]:
    """For each frame the innermost module and the innermost line of the user's at it."""
    modules: list[str] = []
    sources: list[str] = []
    for name, above in zip(names, parent, strict=True):
        module = name.removeprefix(_MODULE) if name.startswith(_MODULE) else ""
        source = name if not module and is_user_line(name) else ""
        modules.append(module or ("" if above == NOBODY else modules[above]))
        sources.append(source or ("" if above == NOBODY else sources[above]))
    return modules, sources


@lru_cache(maxsize=4_096)
def _user_line(stack: str) -> str:
    """The innermost frame of the user's own code in a stack written innermost first."""
    return next((frame for frame in stack.split(";") if is_user_line(frame)), "")


@lru_cache(maxsize=16_384)
def is_user_line(frame: str) -> bool:
    """Whether a frame, `path.py(line): function`, is of the user's own code and not a library's."""
    path, found, _ = frame.partition("(")
    if not found or not path.endswith(".py") or "site-packages" in path:
        return False
    if "dist-packages" in path or "/lib/python" in path or path.startswith("<"):
        return False
    first = path.lstrip("./").partition("/")[0].removesuffix(".py")
    return first not in _LIBRARIES and first not in sys.stdlib_module_names


def memory(
    trace: TraceWindow, nests: Sequence[Nest], segments: Segments
) -> dict[tuple[str, str, str], int]:
    """Bytes taken less bytes given back within each operator itself, by (phase, name, device).

    What torch.profiler calls self memory usage; negative where an operator frees more.
    """
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    nest_of: dict[ThreadKey, Nest] = {nest.track.thread: nest for nest in nests}
    for event in trace.memory_events:
        nest = nest_of.get(event.thread)
        if nest is None:
            continue
        track = nest.track
        i = innermost(event.at_ns, track.start_ns, track.duration_ns, nest.parents)
        while i != NOBODY and track.kinds[i] == LAUNCH:
            i = nest.parents[i]
        if i != NOBODY:
            device = "gpu" if event.on_device else "cpu"
            own_phase = track.phases[i] if track.phases else ""
            phase = own_phase or segments.at(track.start_ns[i])
            sums[phase, track.names[i], device] += event.bytes
    return sums
