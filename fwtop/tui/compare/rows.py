"""The comparison's rows: figures in the order that matters, and work as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fwtop.analysis.comparison.model import (
    ComparedDetail,
    ComparedFamily,
    ComparedFigure,
    ComparedKernel,
    ComparedOperator,
    Comparison,
    OperatorChange,
    OperatorSide,
)


@dataclass(frozen=True)
class Node:
    """A family, operator, kernel or detail with what it consists of."""

    key: str
    """Unique in the tree."""
    depth: int
    kind: str
    """`family`, `operator`, `kernel`, `shape`, `module`, `source`."""
    name: str
    family: str
    device: str
    sides: tuple[OperatorSide | None, ...]
    changes: tuple[OperatorChange | None, ...]
    children: tuple[Node, ...] = ()


def what_changed(comparison: Comparison) -> list[ComparedFigure]:
    """The step time first; then what changed for sure, by how much; noise after it; the same last.

    Left out are figures of what never happened, and those that say again what another one says.
    """
    known = {figure.metric for figure in comparison.figures}
    again = {"step_time.mean", "kernels.launch_delay.mean", "kernels.launch_delay.p95"}
    for metric, like in (("throughput.samples", "throughput.steps"),
                         ("kernels.busy", "kernels.utilization")):  # fmt: skip
        if metric in known:
            again.add(like)
    if not any(verdict is not None and verdict.per == "sample" for verdict in comparison.verdicts):
        again.add("sample_time")
    rows = [one for one in comparison.figures if any(one.values) and one.metric not in again]
    return sorted(rows, key=lambda figure: (figure.metric != "step_time", *_rank(figure)))


def figures_of(comparison: Comparison, sections: Sequence[str]) -> list[ComparedFigure]:
    """The figures of some sections, in the comparison's order."""
    return [figure for figure in comparison.figures if figure.section in sections]


def work(comparison: Comparison) -> tuple[Node, ...]:
    """Families with their operators and kernels, most change first."""
    return tuple(_family(family) for family in comparison.families)


def kernels(comparison: Comparison) -> tuple[Node, ...]:
    """All kernels without their families, most change first."""
    found = [
        _kernel(kernel, f"{family.device}/{family.family}", 0)
        for family in comparison.families
        for kernel in family.kernels
    ]
    return tuple(sorted(found, key=_most_change, reverse=True))


def flattened(nodes: Iterable[Node], opened: frozenset[str]) -> Iterator[Node]:
    """The nodes and, of the opened ones, what is in them."""
    for node in nodes:
        yield node
        if node.key in opened:
            yield from flattened(node.children, opened)


def matching(nodes: Iterable[Node], needle: str) -> Iterator[Node]:
    """Nodes whose name or family contains a text, under those that they belong to."""
    for node in nodes:
        inner = list(matching(node.children, needle))
        if inner or needle in f"{node.name} {node.family} {node.device}".lower():
            yield node
            yield from inner


def _rank(figure: ComparedFigure) -> tuple[int, float]:
    changes = [change for change in figure.changes if change is not None and change.delta]
    if not changes:
        return 3, 0.0
    sure = [change for change in changes if change.noise is False]
    unsure = [change for change in changes if change.noise is None]
    size = max(abs(change.ratio or 0.0) for change in sure or unsure or changes)
    if figure.better == "neither":
        return 2, -size
    return (0 if sure else 1 if unsure else 2), -size


def _family(family: ComparedFamily) -> Node:
    key = f"{family.device}/{family.family}"
    operators = [_operator(operator, key) for operator in family.operators]
    own = [_kernel(kernel, key, 1) for kernel in family.kernels]
    return Node(
        key, 0, "family", family.family, family.family, family.device, family.sides, family.changes,
        (*operators, *own),
    )  # fmt: skip


def _operator(operator: ComparedOperator, parent: str) -> Node:
    key = f"{parent}/{operator.device}:{operator.name}"
    return Node(
        key, 1, "operator", operator.name, operator.family, operator.device, operator.sides,
        operator.changes, tuple(_detail(detail, operator, key) for detail in operator.details),
    )  # fmt: skip


def _kernel(kernel: ComparedKernel, parent: str, depth: int) -> Node:
    return Node(
        f"{parent}/kernel:{kernel.name}", depth, "kernel", kernel.name, kernel.family, "gpu",
        kernel.sides, kernel.changes,
    )  # fmt: skip


def _detail(detail: ComparedDetail, operator: ComparedOperator, parent: str) -> Node:
    return Node(
        f"{parent}/{detail.kind}:{detail.value}", 2, detail.kind, detail.value, operator.family,
        operator.device, detail.sides, detail.changes,
    )  # fmt: skip


def _most_change(node: Node) -> float:
    return max((abs(change.delta_ns) for change in node.changes if change is not None), default=0.0)
