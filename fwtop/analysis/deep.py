"""What only deep windows tell: operators by shape, module and source line, memory and FLOPs."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from fwtop.analysis.nesting import NOBODY, innermost, parents, self_times
from fwtop.analysis.phases import Segments
from fwtop.analysis.results import DetailFigures
from fwtop.traces.model import LAUNCH, ThreadKey, TraceWindow, Track

NO_OPERATORS = ("ProfilerStep#", "PyTorch Profiler")
"""Ranges that enclose operators and are none."""
_MODULE = "nn.Module: "
_LIBRARY_NAMES = """
torch torchvision torchaudio torchdata triton functorch numpy tqdm transformers accelerate datasets
lightning pytorch_lightning lightning_fabric deepspeed keras tensorflow jax einops timm apex
xformers flash_attn
"""
_LIBRARIES = frozenset(_LIBRARY_NAMES.split())
"""Whose source lines are nobody's own. Kineto writes paths relative to sys.path, so that a user's
`train.py` and a library's `torch/nn/…` look alike but for their first part."""


def details(trace: TraceWindow) -> Iterator[DetailFigures]:
    """Operators by input shape, module and source line; nothing for a window that is not deep."""
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    frames = {track.thread: track for track in trace.frames}
    modules_of_sequence: dict[int, str] = {}
    tracks = [t for t in trace.tracks if t.shapes or t.stacks or t.modules or frames]
    places = [_places(track, frames.get(track.thread)) for track in tracks]
    for track, (modules, _) in zip(tracks, places, strict=True):
        for sequence, module in zip(track.sequences or (), modules, strict=False):
            if sequence >= 0 and module:
                modules_of_sequence.setdefault(sequence, module)
    for track, (modules, sources) in zip(tracks, places, strict=True):
        parent = parents(track.start_ns, track.duration_ns)
        own = self_times(track.start_ns, track.duration_ns, parent)
        _join_backward(track, parent, modules, modules_of_sequence)
        for kind, values in (
            ("shape", track.shapes), ("module", modules), ("source", sources),
        ):  # fmt: skip
            if values is not None:
                _sum(sums, kind, values, track, own, parent)
    for (name, kind, value), (calls, self_ns, total_ns) in sums.items():
        if not name.startswith(NO_OPERATORS):
            yield DetailFigures(name, kind, value, calls, self_ns, total_ns)


def _sum(
    sums: Mapping[tuple[str, str, str], list[int]],
    kind: str,
    values: Sequence[str],
    track: Track,
    own: Sequence[int],
    parent: Sequence[int],
) -> None:
    names, durations, kinds = track.names, track.duration_ns, track.kinds
    for i, value in enumerate(values):
        if not value or kinds[i] == LAUNCH:
            continue
        row = sums[names[i], kind, value]
        row[0] += 1
        row[1] += own[i]
        above = parent[i]
        while above != NOBODY and (names[above] != names[i] or values[above] != value):
            above = parent[above]
        if above == NOBODY:
            row[2] += durations[i]


def _join_backward(
    track: Track, parent: Sequence[int], modules: list[str], of_sequence: Mapping[int, str]
) -> None:
    """A backward operator is of the module whose forward had its sequence number."""
    if track.sequences is None:
        return
    for i, sequence in enumerate(track.sequences):
        if modules[i]:
            continue
        if sequence >= 0 and sequence in of_sequence:
            modules[i] = of_sequence[sequence]
        elif parent[i] != NOBODY:
            modules[i] = modules[parent[i]]


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


def memory(trace: TraceWindow, segments: Segments) -> dict[tuple[str, str, str], int]:
    """Bytes taken less bytes given back within each operator itself, by (phase, name, device)."""
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    if not trace.memory_events:
        return sums
    tracks: dict[ThreadKey, tuple[Track, list[int]]] = {
        track.thread: (track, parents(track.start_ns, track.duration_ns)) for track in trace.tracks
    }
    for event in trace.memory_events:
        if event.thread not in tracks:
            continue
        track, parent = tracks[event.thread]
        i = innermost(event.at_ns, track.start_ns, track.duration_ns, parent)
        while i != NOBODY and track.kinds[i] == LAUNCH:
            i = parent[i]
        if i != NOBODY:
            device = "gpu" if event.on_device else "cpu"
            sums[segments.at(track.start_ns[i]), track.names[i], device] += event.bytes
    return sums


def flops(trace: TraceWindow, segments: Segments) -> dict[tuple[str, str], int]:
    """Floating point operations by (phase, name), for operators whose shapes tell them."""
    return {}
