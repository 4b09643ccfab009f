"""CUDA allocator statistics, and what was held when memory ran out.

Reads what the allocator keeps anyway: no peak is reset, and CUDA is never initialised by us. On the
CPU there is no allocator to ask; the process's memory is the host sampler's business, so nothing is
sent rather than a figure that means something else.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Tuple

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns

MAX_HOLDERS = 20


def cuda_in_use(torch: ModuleType) -> bool:
    """Whether the script has initialised CUDA in this process."""
    cuda = getattr(torch, "cuda", None)
    return cuda is not None and bool(cuda.is_initialized())


def readings(torch: ModuleType) -> List[wire.Memory]:
    """One reading for each device that this process has memory on."""
    if not cuda_in_use(torch):
        return []
    found = []
    for index in range(torch.cuda.device_count()):
        stats = torch.cuda.memory_stats(index)
        if stats.get("reserved_bytes.all.peak"):
            found.append(_reading(index, stats))
    return found


def _reading(index: int, stats: Dict[str, int]) -> wire.Memory:
    return wire.Memory(
        at_ns=now_ns(),
        device="cuda:%d" % index,
        allocated_bytes=stats.get("allocated_bytes.all.current"),
        reserved_bytes=stats.get("reserved_bytes.all.current"),
        active_bytes=stats.get("active_bytes.all.current"),
        allocated_peak_bytes=stats.get("allocated_bytes.all.peak"),
        reserved_peak_bytes=stats.get("reserved_bytes.all.peak"),
        retries=stats.get("num_alloc_retries"),
        ooms=stats.get("num_ooms"),
    )


def watch_for_oom(torch: ModuleType, send: Callable[[Any], None]) -> bool:
    """Have the allocator call us when it gives up; False where it offers no such thing.

    There is no way to detach an observer, so it is attached once a process and guards itself.
    """
    attach = getattr(torch._C, "_cuda_attach_out_of_memory_observer", None)
    if attach is None:
        return False

    def out_of_memory(device: int, asked: int, total: int, free: int) -> None:
        try:
            send(
                wire.OutOfMemory(
                    at_ns=now_ns(),
                    device="cuda:%d" % device,
                    message="%d bytes asked for, %d of %d free" % (asked, free, total),
                    holders=holders(_snapshot(torch), device),
                )
            )
        except Exception:  # the script is about to see its own error; ours would hide it
            return

    attach(out_of_memory)
    return True


def _snapshot(torch: ModuleType) -> Any:
    try:
        return torch.cuda.memory._snapshot()
    except (AttributeError, RuntimeError):  # not in this torch, or the device has failed
        return {}


def holders(snapshot: Any, device: int) -> List[Dict[str, Any]]:
    """Live blocks of a snapshot, those of one size and origin together, largest sum first.

    The origin is known only where the script itself has memory history recorded.
    """
    sums: Dict[Tuple[int, str], int] = {}
    for segment in snapshot.get("segments", []):
        if segment.get("device") != device:
            continue
        for block in segment.get("blocks", []):
            if block.get("state") == "active_allocated":
                key = (int(block.get("size", 0)), _where(block.get("frames")) or "")
                sums[key] = sums.get(key, 0) + 1
    largest = sorted(sums.items(), key=lambda item: -item[0][0] * item[1])[:MAX_HOLDERS]
    return [
        {"size_bytes": size, "count": count, "where": where} for (size, where), count in largest
    ]


def _where(frames: Any) -> Optional[str]:
    for frame in frames or []:
        name = str(frame.get("filename", ""))
        if name.endswith(".py") and "/torch/" not in name:
            return "%s:%s %s" % (name, frame.get("line"), frame.get("name"))
    return None
