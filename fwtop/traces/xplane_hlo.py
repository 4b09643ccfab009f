"""From XLA's operators back to the framework's: the names in the HLO modules of a trace.

The plane `/host:metadata` holds an HloProto for each compiled module. Only the modules that the
trace's events name are read, instruction by instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from google.protobuf.message import DecodeError

from fwtop.traces.model import OPERATOR
from fwtop.traces.protobuf_wire import BYTES, VARINT, fields, whole_number
from fwtop.traces.xplane_file import PlaneIndex, text
from fwtop.traces.xplane_names import Meaning, of_operator
from fwtop.traces.xplane_pb2 import HloInstruction

PLANE = "/host:metadata"
_MODULE, _COMPUTATIONS, _INSTRUCTIONS, _COMPUTATION_ID = 1, 3, 2, 5
"""Field numbers of HloProto.hlo_module, HloModuleProto.computations, their instructions and ids."""
_MOST_INSTRUCTIONS = 500_000
_INSTRUCTION_BYTES = 1 << 20
_OWN_PART = re.compile(r"(?:^|/)([A-Za-z]\w*?)(?:_\d+)?\Z")
_PROGRAM = re.compile(r"\(\d+\)\Z")


class HloNames:
    """The framework's name of an HLO operator, by module."""

    def __init__(self, planes: list[PlaneIndex]):
        self._protos: dict[str, bytes] = {}
        self._modules: dict[str, dict[str, Meaning]] = {}
        self._known: dict[tuple[str, str], Meaning] = {}
        for plane in planes:
            if plane.name == PLANE:
                for module in plane.event_names.values():
                    proto = next((s.bytes_value for s in module.stats if s.bytes_value), b"")
                    self._protos[_PROGRAM.sub("", text(module.name))] = proto or module.metadata

    def of(self, module: str, name: str) -> Meaning:
        """What an operator of a module is; its own name, less its number, where nothing tells."""
        meaning = self._known.get((module, name))
        if meaning is None:
            if module not in self._modules:
                proto = self._protos.get(_PROGRAM.sub("", module), b"")
                self._modules[module] = _instructions(proto)
            meaning = self._modules[module].get(name) or Meaning(
                OPERATOR, name.partition(".")[0] or name
            )
            self._known[module, name] = meaning
        return meaning


def _instructions(proto: bytes) -> dict[str, Meaning]:
    """By name, those instructions whose origin in the framework the module tells.

    A fusion that XLA made of several operators has no origin of its own: it goes by the last one
    in it that has, whose result it is or leads to.
    """
    found: dict[str, Meaning] = {}
    last: dict[int, Meaning] = {}
    fusions: list[tuple[str, int]] = []
    left = _MOST_INSTRUCTIONS
    for at, end in _held(proto, 0, len(proto), _MODULE):
        for start, stop in _held(proto, at, end, _COMPUTATIONS):
            number = _computation_id(proto, start, stop)
            for place in _held(proto, start, stop, _INSTRUCTIONS):
                left -= 1
                if left < 0:
                    return found
                instruction = _instruction(proto, *place)
                if instruction is None:
                    continue
                name, meaning = text(instruction.name), _origin(instruction)
                if meaning is not None:
                    found[name] = last[number] = meaning
                elif len(instruction.called_computation_ids) == 1:
                    fusions.append((name, instruction.called_computation_ids[0]))
    for name, inner in fusions:
        if inner in last:
            found[name] = last[inner]
    return found


def _instruction(data: bytes, at: int, end: int) -> HloInstruction | None:
    if end - at > _INSTRUCTION_BYTES:
        return None
    found = HloInstruction()
    try:
        found.ParseFromString(data[at:end])
    except DecodeError:
        return None
    return found


def _origin(instruction: HloInstruction) -> Meaning | None:
    """By the operator's path and type; without the type by its own part of the path."""
    path = text(instruction.metadata.op_name)
    if not path:
        return None
    own = _OWN_PART.search(path)
    kind = text(instruction.metadata.op_type) or (own[1] if own else text(instruction.opcode))
    return of_operator(path, kind)


def _computation_id(data: bytes, at: int, end: int) -> int:
    for number, wire, _, held, stop in islice(fields(data, at, end), _MOST_INSTRUCTIONS):
        if number == _COMPUTATION_ID and wire == VARINT:
            return whole_number(data, held, stop)
    return 0


def _held(data: bytes, at: int, end: int, number: int) -> Iterator[tuple[int, int]]:
    """Where what the fields of a number hold lies, of a message in data[at:end]."""
    for found, wire, _, held, stop in islice(fields(data, at, end), _MOST_INSTRUCTIONS):
        if found == number and wire == BYTES:
            yield held, stop
