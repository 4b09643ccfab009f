"""Which process an XPlane trace is of: its host, and its framework where the trace proves it.

Names no pid: the profilers write none, and a thread's id is not told to be the main one's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fwtop.traces.model import TracedProcess
from fwtop.traces.xplane_file import PlaneIndex, XPlaneFile, text
from fwtop.traces.xplane_names import is_tensorflow, of_annotation

_JAX = re.compile(r"PjitFunction\(|(?:jit|pjit|pmap)_\w+(?:\(\d+\))?\Z")
"""A call that JAX compiled (its `pjit.cc`), and what it calls the XLA modules of its functions."""
_PORT = re.compile(r":\d{1,5}\Z")


def process_of(file: XPlaneFile) -> TracedProcess:
    """What of the process is certain."""
    return TracedProcess(host=_host(file.hostnames), framework=_framework(file.planes))


def _host(names: Iterable[str]) -> str | None:
    """The one host: TensorFlow writes `HOST:PORT` of a worker that was profiled from elsewhere."""
    hosts = {_PORT.sub("", name) for name in names}
    return hosts.pop() or None if len(hosts) == 1 else None


def _framework(planes: Iterable[PlaneIndex]) -> str | None:
    """JAX where JAX ran, for its programs read their input by tf.data: TensorFlow's operators are
    no proof of a model's framework beside it. Threads called `tf_…` and iterators prove neither.
    """
    tensorflow = False
    for plane in planes:
        for metadata in plane.event_names.values():
            name = text(metadata.name)
            if _JAX.match(name):
                return "jax"
            tensorflow = tensorflow or is_tensorflow(name)
        tensorflow = tensorflow or any(map(of_annotation, plane.stat_names.values()))
    return "tensorflow" if tensorflow else None
