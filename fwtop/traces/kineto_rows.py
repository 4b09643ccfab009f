"""The rows of a Kineto trace as typed structs, and their decoders.

Owns which fields are read and how they are spelt in old and new files. What is not named here is
skipped by the parser and costs no object.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import isfinite
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field
from msgspec.structs import replace

from fwtop.traces.model import ANNOTATION, FRAME, KERNEL, LAUNCH, MEMCPY, MEMSET, OPERATOR

NOT_HOST = 255
REFUSED = (msgspec.MsgspecError, RecursionError, OverflowError, UnicodeError)
"""What the decoders raise for text that is not what it should be."""


class Category(Enum):
    """`cat` of a row. An enum, because the parser then makes no string for it.

    What is frequent is named, also where nothing is made of it: `_missing_` is Python, and slow.
    """

    CPU_OP = "cpu_op"
    OPERATOR = "Operator"
    USER_ANNOTATION = "user_annotation"
    CUDA_RUNTIME = "cuda_runtime"
    CUDA_DRIVER = "cuda_driver"
    RUNTIME = "Runtime"
    HIP_RUNTIME = "hip_runtime"
    XPU_RUNTIME = "xpu_runtime"
    MTIA_RUNTIME = "mtia_runtime"
    PRIVATEUSE1_RUNTIME = "privateuse1_runtime"
    PRIVATEUSE1_DRIVER = "privateuse1_driver"
    PYTHON_FUNCTION = "python_function"
    KERNEL = "kernel"
    KERNEL_BEFORE_111 = "Kernel"
    GPU_MEMCPY = "gpu_memcpy"
    MEMCPY = "Memcpy"
    GPU_MEMSET = "gpu_memset"
    MEMSET = "Memset"
    FLOW = "ac2g"
    FLOW_BEFORE_22 = "async_cpu_to_gpu"
    FLOW_BEFORE_111 = "async"
    FLOW_BACK = "fwdbwd"
    FLOW_BACK_BEFORE_22 = "forward_backward"
    DEVICE_ANNOTATION = "gpu_user_annotation"
    OTHER = ""

    __hash__ = object.__hash__
    """Enum's own hashes the name, in Python."""

    @classmethod
    def _missing_(cls, value: object) -> Category:
        return cls.OTHER


_HOST = {
    Category.CPU_OP: OPERATOR,
    Category.OPERATOR: OPERATOR,
    Category.USER_ANNOTATION: ANNOTATION,
    Category.CUDA_RUNTIME: LAUNCH,
    Category.CUDA_DRIVER: LAUNCH,
    Category.RUNTIME: LAUNCH,
    Category.HIP_RUNTIME: LAUNCH,
    Category.XPU_RUNTIME: LAUNCH,
    Category.MTIA_RUNTIME: LAUNCH,
    Category.PRIVATEUSE1_RUNTIME: LAUNCH,
    Category.PRIVATEUSE1_DRIVER: LAUNCH,
    Category.PYTHON_FUNCTION: FRAME,
}
HOST_KIND = {category: _HOST.get(category, NOT_HOST) for category in Category}
"""The kind of a host event, NOT_HOST for other rows."""
DEVICE_KIND = {
    Category.KERNEL: KERNEL,
    Category.KERNEL_BEFORE_111: KERNEL,
    Category.GPU_MEMCPY: MEMCPY,
    Category.MEMCPY: MEMCPY,
    Category.GPU_MEMSET: MEMSET,
    Category.MEMSET: MEMSET,
}


Int64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What a recording can hold."""


class LaunchArgs(Struct, gc=False, frozen=True):
    """What ties a device's work to its launch and to its operator, and says how large it is."""

    correlation: Int64 = 0
    external_id_now: Int64 = field(default=0, name="External id")
    external_id_before_111: Int64 = field(default=0, name="external id")
    device: Int64 | str | None = None
    stream: Int64 | str | None = None
    bytes: Int64 | str | None = None
    elements_now: Int64 | None = field(default=None, name="In msg nelems")
    elements_before_22: Int64 | None = field(default=None, name="In msg size")
    blocks_per_sm: float | None = field(default=None, name="blocks per SM")
    occupancy_percent: float | None = field(default=None, name="est. achieved occupancy %")

    @property
    def elements(self) -> int | None:
        """Of a collective: how many elements went in."""
        return self.elements_before_22 if self.elements_now is None else self.elements_now


class Args(LaunchArgs, gc=False, frozen=True):
    """All arguments that figures are made of."""

    sequence: Int64 = field(default=-1, name="Sequence number")
    shapes: Raw | UnsetType = field(default=UNSET, name="Input Dims")
    values: Raw | UnsetType = field(default=UNSET, name="Concrete Inputs")
    types: Raw | UnsetType = field(default=UNSET, name="Input type")
    module: str | None = field(default=None, name="Module Hierarchy")
    stack: str | None = field(default=None, name="Call stack")
    memory_bytes: Int64 | None = field(default=None, name="Bytes")
    device_type: Int64 | None = field(default=None, name="Device Type")
    device_id: Int64 | None = field(default=None, name="Device Id")
    address: int | None = field(default=None, name="Addr")
    allocated_bytes: Int64 | None = field(default=None, name="Total Allocated")
    reserved_bytes: Int64 | None = field(default=None, name="Total Reserved")


NO_ARGS = Args()


def whole(value: int | str | None) -> int | None:
    """A number, also where it is written as text: calls of HIP have sizes and streams so."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else None
    return value


_RAW = {"Input Dims": "shapes", "Concrete Inputs": "values", "Input type": "types"}


class PlainRow(Struct, gc=False):
    """A row with its arguments unparsed, for traces of the CPU alone. Times in microseconds."""

    cat: Category = Category.OTHER
    name: str = ""
    tid: int | str = 0
    ts: float = 0.0
    dur: float = -1.0
    args: Raw | UnsetType = UNSET


class LaunchRow(Struct, gc=False):
    """A row of a trace of devices, where nothing but what devices did is wanted of arguments."""

    cat: Category = Category.OTHER
    name: str = ""
    tid: int | str = 0
    ts: float = 0.0
    dur: float = -1.0
    args: LaunchArgs = NO_ARGS


class RichRow(Struct, gc=False):
    """A row whose arguments all matter: deep windows, and traces from elsewhere."""

    cat: Category = Category.OTHER
    name: str = ""
    tid: int | str = 0
    ts: float = 0.0
    dur: float = -1.0
    args: Args = NO_ARGS


Row = PlainRow | LaunchRow | RichRow


class DeviceProperties(Struct, gc=False):
    """One of the header's devices."""

    id: int = -1
    name: str = ""
    memory_bytes: Int64 = field(default=0, name="totalGlobalMem")


class Distributed(Struct, gc=False):
    """The process's place among those that train together."""

    rank: int | None = None
    world_size: int | None = None


class Document(Struct, gc=False):
    """What stands around the array of events; what of it may be missing or strange, unparsed."""

    base_time_ns: int = field(default=0, name="baseTimeNanoseconds")
    raw_devices: Raw | UnsetType = field(default=UNSET, name="deviceProperties")
    raw_distributed: Raw | UnsetType = field(default=UNSET, name="distributedInfo")
    raw_host: Raw | UnsetType = field(default=UNSET, name="hostname")

    @property
    def devices(self) -> list[DeviceProperties]:
        """The machine's devices; none where they make no sense."""
        found: list[DeviceProperties] | None = _lenient(self.raw_devices, _decode_devices)
        return found or []

    @property
    def distributed(self) -> Distributed:
        """Rank and world size, None where they are not told or make no sense."""
        found: Distributed | None = _lenient(self.raw_distributed, _decode_distributed)
        if found is None:
            return Distributed()
        return Distributed(_small(found.rank), _small(found.world_size))

    @property
    def host(self) -> str | None:
        """The machine's name."""
        found: str | None = _lenient(self.raw_host, _decode_text)
        return found[:_LONGEST_HOST] if found else None


decode_plain = msgspec.json.Decoder(list[PlainRow]).decode
decode_launches = msgspec.json.Decoder(list[LaunchRow]).decode
decode_rich = msgspec.json.Decoder(list[RichRow]).decode
decode_document = msgspec.json.Decoder(Document).decode
_decode_args = msgspec.json.Decoder(Args).decode
_decode_devices = msgspec.json.Decoder(list[DeviceProperties]).decode
_decode_distributed = msgspec.json.Decoder(Distributed, strict=False).decode
_decode_text = msgspec.json.Decoder(str).decode
_LONGEST_HOST = 253
_MOST_RANKS = 1 << 31


def _lenient(raw: Raw | UnsetType, decode: Callable[[Raw], Any]) -> Any:
    try:
        return None if isinstance(raw, UnsetType) else decode(raw)
    except REFUSED:
        return None


def _small(number: int | None) -> int | None:
    return number if number is not None and 0 <= number < _MOST_RANKS else None


def arguments(row: Row) -> LaunchArgs:
    """A row's arguments; none where there are none, or none that make sense."""
    args = row.args
    if isinstance(args, LaunchArgs):
        return args
    if args is UNSET:
        return NO_ARGS
    try:
        return _decode_args(args)
    except REFUSED:
        return NO_ARGS


def salvaged(value: dict[str, Any]) -> RichRow | None:
    """A row from loosely parsed JSON: without what of its arguments is unusable, None if it is no
    row.
    """
    args = value.pop("args", None)
    try:
        row = msgspec.convert(value, RichRow)
    except REFUSED:
        return None
    if not (isfinite(row.ts) and isfinite(row.dur)):
        return None
    row.name = _clean(row.name)
    row.tid = _clean(row.tid) if isinstance(row.tid, str) else row.tid
    row.args = _salvaged_args(args) if isinstance(args, dict) else NO_ARGS
    return row


def _clean(text: str) -> str:
    """Without lone surrogates, which the standard library's parser lets through."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _salvaged_args(args: dict[str, Any]) -> Args:
    raw = {key: args.pop(key, None) for key in _RAW}
    try:
        texts = {
            field_name: Raw(msgspec.json.encode(raw[key]))
            for key, field_name in _RAW.items()
            if raw[key] is not None
        }
        found = msgspec.convert(args, Args, strict=False)
        module, stack = (text and _clean(text) for text in (found.module, found.stack))
        return replace(found, module=module, stack=stack, **texts)
    except REFUSED:
        return NO_ARGS
