"""Where panels go on a screen of any size: pure arithmetic, so that nothing can overlap.

Parts drop by priority where there is no room for their least size; what is left shares the rest by
weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
BOXED_WIDTH, BOXED_HEIGHT = 100, 34


@dataclass(frozen=True)
class Box:
    """A rectangle in cells."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Part:
    """A panel, or a group of panels, along one direction."""

    name: str | Split
    weight: float
    least: int
    priority: int = 0
    """The highest drops first."""
    most: int = 10_000


@dataclass(frozen=True)
class Split:
    """Parts beside each other (`across`) or below each other."""

    parts: tuple[Part, ...]
    across: bool = False


def share(total: int, parts: Sequence[Part]) -> list[tuple[Part, int]]:
    """The parts that fit into `total`, each with its size; the sizes add up to `total`."""
    kept = list(parts)
    while len(kept) > 1 and sum(part.least for part in kept) > total:
        kept.remove(max(kept, key=lambda part: part.priority))
    weights = sum(part.weight for part in kept)
    sizes = [
        max(part.least, min(part.most, int(total * part.weight / weights))) if weights else 0
        for part in kept
    ]
    while sum(sizes) != total:
        over = sum(sizes) > total
        able = [
            index
            for index, part in enumerate(kept)
            if (sizes[index] > part.least if over else sizes[index] < part.most)
        ] or list(range(len(kept)))
        index = (max if over else min)(able, key=lambda i: sizes[i] / max(0.01, kept[i].weight))
        sizes[index] += -1 if over else 1
    return list(zip(kept, sizes, strict=True))


def place(split: Split, box: Box) -> dict[str, Box]:
    """A box for each panel that there is room for."""
    found: dict[str, Box] = {}
    at = box.x if split.across else box.y
    for part, size in share(box.width if split.across else box.height, split.parts):
        inner = (
            Box(at, box.y, size, box.height) if split.across else Box(box.x, at, box.width, size)
        )
        at += size
        if isinstance(part.name, Split):
            found.update(place(part.name, inner))
        else:
            found[part.name] = inner
    return found


def frame(width: int, height: int) -> tuple[dict[str, Box], Box]:
    """Header and keys, and the box between them."""
    head = 2 if height >= 30 else 1
    places = {"header": Box(0, 0, width, head), "keys": Box(0, height - 1, width, 1)}
    return places, Box(0, head, width, height - head - 1)


def boxed(width: int, height: int) -> bool:
    """Whether panels can afford whole frames."""
    return width >= BOXED_WIDTH and height >= BOXED_HEIGHT


def too_small(width: int, height: int) -> bool:
    """Whether nothing sensible fits."""
    return width < LEAST_WIDTH or height < LEAST_HEIGHT


def overview(width: int, height: int, gpus: int) -> Mapping[str, Box]:
    """The panels side by side."""
    places, box = frame(width, height)
    if width >= 160 and height >= 40:
        split = _wide(gpus)
    elif width >= 100 and height >= 30:
        split = _medium(gpus)
    else:
        split = _small(width, height, gpus)
    return {**places, **place(split, box)}


def _wide(gpus: int) -> Split:
    top = [Part("steps", 5, 60)]
    if gpus:
        top.append(Part("gpus", 4, 50, priority=1))
    top.append(Part("host", 3, 40, priority=2))
    return Split(
        (
            Part(Split(tuple(top), across=True), 16, 12),
            Part(_pair("operators", 3, "compile", 2), 17, 8),
            Part(_pair("log", 3, "findings", 2), 14, 6),
        )
    )


def _medium(gpus: int) -> Split:
    right: list[Part] = []
    if gpus:
        right.append(Part("gpus", 1 + min(gpus, 4), 5))
    right.append(Part("host", 4, 6, most=9 if gpus else 10_000))
    top = Split((Part("steps", 13, 50), Part(Split(tuple(right)), 11, 46, priority=1)), across=True)
    return Split(
        (
            Part(top, 13, 11),
            Part(_pair("operators", 3, "compile", 2), 12, 7),
            Part(_pair("log", 3, "findings", 2), 11, 6),
        )
    )


def _small(width: int, height: int, gpus: int) -> Split:
    side = ("gpus", "host") if gpus else ("host", "compile")
    steps: str | Split = "steps"
    if width >= 76:
        right = Split((Part(side[0], 1, 4), Part(side[1], 1, 4, priority=1)))
        steps = Split((Part("steps", 22, 40), Part(right, 18, 34)), across=True)
    parts = [
        Part("top_finding", 0, 1, most=1),
        Part(steps, 9, 5),
        Part("operators", 7, 4, priority=2),
    ]
    if gpus and height >= 30:
        parts.append(Part("compile", 5, 5, priority=3))
    parts.append(Part("log", 6, 3, priority=1))
    if height >= 40:
        parts[0] = Part("findings", 4, 5, priority=4)
    return Split(tuple(parts))


def _pair(left: str, left_weight: float, right: str, right_weight: float) -> Split:
    return Split(
        (Part(left, left_weight, 50), Part(right, right_weight, 30, priority=1)), across=True
    )
