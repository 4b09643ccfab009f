"""Tries `profiler_abi` in this process, and remembers the verdict for this interpreter and build.

Run by file path with the interpreter that the script will use, and never inside a script's process:
what it tries may end the process that tries it. Exit status 0 if it passed; a verdict is written
either way, `failed` first, so that a crash leaves that behind.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections import Counter
from typing import Any, Dict

ROUNDS = 30


def main() -> int:
    """Try, and write the verdict."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    import torch

    from fwtop_profilers.torch import profiler_abi

    if not profiler_abi.may_work(torch):
        return 2
    path = profiler_abi.verdict_path(torch)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    _write(path, "did not end")
    try:
        _try(torch, profiler_abi.GilReleasedWay(torch))
    except Exception as error:
        _write(path, "%s: %s" % (type(error).__name__, error))
        return 1
    _write(path, "passed")
    return 0


def _try(torch: Any, way: Any) -> None:
    """Many windows while this thread and another compute; every trace must be whole."""
    from fwtop_profilers.torch.kineto import Detail, PlainWay

    torch.set_num_threads(1)
    over = threading.Event()
    other = threading.Thread(target=_compute_until, args=(torch, over))
    step = _stepper(torch)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace-%s.json" % ("x" * 40))
        expected = _trace(step, PlainWay(torch), Detail(False, False), path)
        other.start()
        try:
            for _ in range(ROUNDS):
                found = _trace(step, way, Detail(False, False), path)
                missing = [name for name, count in expected.items() if found[name] < count]
                if missing:
                    raise AssertionError("a trace was not whole: %s" % missing[:3])
            way.start(Detail(False, False))
            step()
            way.save(way.stop(), os.path.join(folder, "missing", "trace.json"))
        finally:
            over.set()
            other.join()


def _trace(step: Any, way: Any, detail: Any, path: str) -> Dict[str, int]:
    way.start(detail)
    step()
    result = way.stop()
    saver = threading.Thread(target=way.save, args=(result, path))
    saver.start()
    while saver.is_alive():
        step()
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    os.unlink(path)
    return Counter(event["name"] for event in events if event.get("cat") == "cpu_op")


def _stepper(torch: Any) -> Any:
    model = torch.nn.Sequential(*[torch.nn.Linear(8, 8) for _ in range(20)])
    data = torch.ones(2, 8)

    def step() -> None:
        model(data).square().mean().backward()

    step()  # the first one makes the gradients
    return step


def _compute_until(torch: Any, over: threading.Event) -> None:
    data = torch.ones(16)
    while not over.is_set():
        data.sin()


def _write(path: str, verdict: str) -> None:
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"verdict": verdict}, file)
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
