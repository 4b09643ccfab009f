"""Reads the traces that a process under the collector leaves, in the recorder's place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fwtop.traces import reader
from fwtop.traces.model import TraceWindow
from tests.profilers.collector import Collector


@contextmanager
def reading(collector: Collector) -> Iterator[list[tuple[dict[str, Any], TraceWindow]]]:
    """Decode each trace once it is told of and take its file away, as the recorder does."""
    traces: list[tuple[dict[str, Any], TraceWindow]] = []
    done = threading.Event()

    def read() -> None:
        for window in collector.messages("Window")[len(traces) :]:
            path = Path(window["path"])
            traces.append((window, reader.read(path, window["format"])))
            path.unlink()

    def watch() -> None:
        while not done.wait(0.005):
            read()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield traces
    finally:
        done.set()
        thread.join()
        read()
