"""What an event of an XPlane is, from its name: TensorFlow's conventions, and only those.

Sources: TensorFlow's `tf_op_utils.cc` (a graph operator is `scope/name:OpType`), `trace_me` calls
of its executors (`EagerLocalExecute: OpType`) and of tf.data (`Iterator::Root::Prefetch`), Keras'
name scopes (`gradient_tape/…`, the optimizer's own name).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from fwtop.traces.model import FRAME, LAUNCH, OPERATOR

SKIPPED = 255
"""An event of the runtime's own insides; its time is that of what encloses it."""
STEP = 254
MEMORY = 253
HLO = 252
"""An operator of XLA, whose name is in its stats."""
FETCH = 251
"""The wait for an input batch within a graph; counts where the operator itself was not traced."""
STAGE = 250
"""An element asked of a stage of the input pipeline."""

STEP_NAME = "fwtop_step"
INPUT_LINES = "tf_data_"
"""Threads that run the input pipeline begin with it."""

_OPERATOR = re.compile(r"(?P<path>[A-Za-z0-9._][\w.\\/>\-]*):(?P<type>[A-Z_]\w*)\Z")
_EAGER = "EagerLocalExecute: "
_FETCH = re.compile(r"(IteratorGetNext(?:AsOptional|Sync)?)Op::DoCompute\Z")
_STAGE = "Iterator::"
_ROOT = "Root::"
_ONE_OF_MANY = re.compile(r"\[\d*\]")
"""Which of the iterators side by side in an interleave, or how often it was repeated."""
_CACHE = re.compile(r"Cache(Impl|Reader|Writer)\b")
"""The iterator within that of a cache, which takes its place in the path."""
_FUNCTION = re.compile(r"__|cluster_\d")
"""What tf.function and XLA call their own functions; a call of one is no operator."""
_FRAME = re.compile(r"\$(?P<file>[^:]+\.py):(?P<line>\d+) (?P<function>.+)\Z")
_BACKWARD = re.compile(r"(?:^|/)(?:gradient_tape|gradients(?:_\d+)?)/|transpose\(")
_OPTIMIZER = re.compile(
    r"(?i)(?:^|/)(?:sgd|momentum|adam(?:w|ax|_?weight_?decay)?|nadam|ada(?:grad|delta|factor|bound)"
    r"|rmsprop|ftrl|lion|lamb|lars|muon|radam|yogi|novograd|(?:\w*_)?optimizer)(?:_\d+)?/"
)
_UPDATE = re.compile(r"(Resource|Sparse)\w*Apply[A-Z]|Apply(Adam|GradientDescent|Momentum)")
_DATA = re.compile(
    r"(MultiDevice)?IteratorGetNext|(OneShot)?Iterator(V2|GetNext|ToString)|Optional"
)
_LAUNCHES = re.compile(r"(cu|hip)[A-Z]")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an event is: a kind of the model or one of the above, and what its name says."""

    kind: int
    name: str = ""
    phase: str = ""
    """"" where the name does not tell and the time must."""
    scope: str = ""
    """The layer that it belongs to."""


NOTHING = Meaning(SKIPPED)


@lru_cache(maxsize=65_536)
def of_name(name: str, on_input_line: bool) -> Meaning | None:
    """An event on a thread of the host by its name; None where its stats must tell."""
    if found := _OPERATOR.match(name):
        return of_operator(found["path"], found["type"], on_input_line)
    if name.startswith(_EAGER):
        kind = name.removeprefix(_EAGER)
        phase = "input" if on_input_line or _DATA.match(kind) else ""
        return NOTHING if _FUNCTION.match(kind) else Meaning(OPERATOR, kind, phase)
    if name.startswith(_STAGE):
        return Meaning(STAGE, stage(name.removeprefix(_STAGE)), "input")
    if found := _FETCH.match(name):
        return Meaning(FETCH, found[1], "input")
    if name in ("MemoryAllocation", "MemoryDeallocation"):
        return Meaning(MEMORY, name)
    if found := _FRAME.match(name):
        return Meaning(FRAME, f"{found['file']}({found['line']}): {found['function']}")
    return Meaning(STEP) if name == STEP_NAME else None


def is_tensorflow(name: str) -> bool:
    """Whether the event is of TensorFlow's own making: an operator of a graph, or an eager one."""
    return name.startswith(_EAGER) or _OPERATOR.match(name) is not None


def stage(path: str) -> str:
    """A stage's path, the same for equal stages side by side; "" for the root, which is none."""
    path = path.removeprefix(_ROOT)
    return "" if path == "Root" else _CACHE.sub("Cache", _ONE_OF_MANY.sub("", path))


def of_stats(name: str, stats: frozenset[str]) -> Meaning:
    """An event whose name tells nothing, from the names of its stats."""
    if "hlo_op" in stats:
        return Meaning(HLO, name)
    if "correlation_id" in stats:
        return Meaning(LAUNCH, _launch(name))
    return Meaning(STEP) if "step_num" in stats else NOTHING


def of_operator(path: str, kind: str, on_input_line: bool = False) -> Meaning:
    """A graph's operator, from its path in the graph and its type."""
    if _FUNCTION.match(kind):
        return NOTHING
    phase = "input" if on_input_line else _phase(path, kind)
    return Meaning(OPERATOR, kind, phase, scope(path))


@lru_cache(maxsize=16_384)
def of_annotation(annotation: str) -> Meaning | None:
    """The operator in a kernel's annotation, `scope/name:OpType#shape=…#`; None for none."""
    found = _OPERATOR.match(annotation.partition("#")[0].rpartition("::")[2])
    return of_operator(found["path"], found["type"]) if found else None


def _phase(path: str, kind: str) -> str:
    if _BACKWARD.search(path):
        return "backward"
    if _UPDATE.match(kind) or _OPTIMIZER.search(path):
        return "optimizer"
    return "input" if _DATA.match(kind) else "forward"


def scope(path: str) -> str:
    """The layer in an operator's path: without the functions around it and the operator itself.

    An operator's own part, and those of operators that it is made of, begin with a capital.
    """
    parts = path.split("/")[:-1]
    while parts and (parts[0] == "gradient_tape" or "PartitionedCall" in parts[0]):
        del parts[0]
    while parts and parts[-1][:1].isupper():
        del parts[-1]
    return "/".join(parts)


def _launch(name: str) -> str:
    """Older files call a launch what it launched."""
    if _LAUNCHES.match(name):
        return name
    return "cuMemcpyAsync" if name.startswith(("Memcpy", "Memset")) else "cuLaunchKernel"
