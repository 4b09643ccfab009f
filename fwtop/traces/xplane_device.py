"""The streams of a device in an XPlane file: kernels, copies, fills, and steps as it bounds them.

A line per stream holds the work. Others are derived from it, and count it again: they are left out
of sums, by name, and `Steps` becomes the model's device steps. A TPU has no streams; there
`XLA Ops` is the work.
"""

from __future__ import annotations

import re

from fwtop.traces.model import KERNEL, MEMCPY, MEMSET, DeviceEvent, DeviceStep
from fwtop.traces.xplane_file import PlaneIndex, Value, text
from fwtop.traces.xplane_hlo import HloNames
from fwtop.traces.xplane_intake import Intake, integer
from fwtop.traces.xplane_names import NOTHING, Meaning, of_annotation
from fwtop.traces.xplane_pb2 import Event, Line

_STEPS = ("Steps", "Step")
_DERIVED = re.compile(
    r"(Steps?|XLA .*|Async XLA .*|(TensorFlow|Framework) (Ops|Name Scope)|Name Scope|Source.*"
    r"|HLO .*|Kernel Launch.*|Launch Stats.*|TraceMe.*|TensorFlow Modules|Counters.*)\Z"
)
_XLA_OPERATORS = "XLA Ops"
_NUMBER = re.compile(r"[:#](\d{1,9})\b")
_STREAM = re.compile(r"Stream #(\d{1,9})\b")
_SIZE = re.compile(r"\b(?:size|num_bytes):(\d{1,15})\b")


def take_device(intake: Intake, plane: PlaneIndex, hlo: HloNames) -> None:
    """Take a device's lines."""
    found = _NUMBER.search(plane.name)
    device = int(found[1]) if found else 0
    reader = _Reader(intake, plane, hlo, device)
    for place in plane.lines:
        name, base, stream = "", 0, 0
        for at, part in enumerate(intake.parts(place)):
            if at == 0:
                name, base, stream = text(part.name), intake.base(part), _stream(part)
            events = intake.events(part)
            if name in _STEPS:
                reader.take_steps(base, events)
            elif _counts(name, plane.name):
                reader.take_work(base, stream, events)
    if plane.lines:
        model = plane.stats.get("gpu_model") or plane.name.removeprefix("/device:")
        intake.window.device_names[device] = str(model)


class _Reader:
    """Reads one device's events."""

    def __init__(self, intake: Intake, plane: PlaneIndex, hlo: HloNames, device: int):
        self._intake = intake
        self._plane = plane
        self._hlo = hlo
        self._device = device
        self._names: dict[int, tuple[str, str, dict[str, Value]]] = {}

    def take_work(self, base: int, stream: int, events: list[Event]) -> None:
        """Take the events of a stream."""
        window, plane = self._intake.window, self._plane
        for event in events:
            times = self._intake.times(base, event)
            if times is None:
                continue
            name, kind, own = self._shared(event.metadata_id)
            values = plane.values(event.stats)
            if own:
                values = own | values
            of = self._operator(values) or NOTHING
            window.device_events.append(
                DeviceEvent(
                    kind,
                    name,
                    *times,
                    self._device,
                    stream,
                    integer(values, "correlation_id"),
                    bytes=_size(values),
                    operator=of.name,
                    phase=of.phase,
                )
            )

    def take_steps(self, base: int, events: list[Event]) -> None:
        """Take the steps that the trace bounds on the device."""
        for event in events:
            times = self._intake.times(base, event)
            number, _, _ = self._shared(event.metadata_id)
            if times is not None:
                self._intake.window.device_steps.append(
                    DeviceStep(self._device, _whole(number), *times)
                )

    def _shared(self, key: int) -> tuple[str, str, dict[str, Value]]:
        """Name, kind and stats that the events of a metadata id share."""
        found = self._names.get(key)
        if found is None:
            known = self._plane.event_names.get(key)
            name = text(known.name) if known is not None else ""
            own = self._plane.values(known.stats) if known is not None else {}
            found = self._names[key] = name, _kind(name), own
        return found

    def _operator(self, values: dict[str, Value]) -> Meaning | None:
        """The framework's operator that the work is of, where the event tells."""
        annotation = values.get("annotation") or values.get("tf_op")
        found = of_annotation(annotation) if isinstance(annotation, str) else None
        if found is None and "hlo_op" in values:
            module = str(values.get("hlo_module", ""))
            found = self._hlo.of(module, str(values["hlo_op"]))
        return found


def _counts(line: str, plane: str) -> bool:
    """Whether a line's events are the device's work, and no other line's once more."""
    if not _DERIVED.match(line):
        return True
    return line == _XLA_OPERATORS and "GPU" not in plane


def _stream(line: Line) -> int:
    found = _STREAM.match(text(line.name))
    return int(found[1]) if found else line.id


def _kind(name: str) -> str:
    lower = name[:6].lower()
    return {"memcpy": MEMCPY, "memset": MEMSET}.get(lower, KERNEL)


def _size(values: dict[str, Value]) -> int | None:
    details = values.get("memcpy_details") or values.get("memset_details")
    found = _SIZE.search(details) if isinstance(details, str) else None
    return int(found[1]) if found else None


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
