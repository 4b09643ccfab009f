"""What a container or a job may use: the limits of this process's cgroups, version 1 and 2.

psutil tells the machine's memory and cores; inside a container with limits these are not what the
run may use, and training is killed or throttled at a figure that looks harmless. Reads files under
`/proc/self/cgroup` and `/sys/fs/cgroup` alone. A limit may sit on any level above a process, so the
levels are walked up and the tightest one counts, with the use of that level.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNLIMITED_BYTES = 1 << 60
"""Version 1 says `no limit` with a number near 2**63."""


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """A limit, and the files that tell how much of it is used."""

    limit_bytes: int
    usage: Path
    statistics: Path
    reclaimable: bytes
    """Name, in `statistics`, of the page cache that goes first: it counts as free."""

    def used_bytes(self) -> int | None:
        """Used now, without page cache that can be dropped; None if it cannot be read."""
        used = _integer(self.usage)
        if used is None:
            return None
        return max(0, used - (_statistic(self.statistics, self.reclaimable) or 0))


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """A quota in cores, and the file that tells the CPU time used under it."""

    cores: float
    usage: Path
    unified: bool

    def used_ns(self) -> int | None:
        """CPU time used so far; None if it cannot be read."""
        if self.unified:
            microseconds = _statistic(self.usage, b"usage_usec")
            return None if microseconds is None else microseconds * 1000
        return _integer(self.usage)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that hold here; None where there is none."""

    memory: MemoryLimit | None = None
    cpu: CpuLimit | None = None


def limits(root: Path = Path("/")) -> Limits:
    """The tightest limits of this process. Nothing on systems without cgroups."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return Limits()
    mount = root / "sys/fs/cgroup"
    memory: list[MemoryLimit] = []
    cpu: list[CpuLimit] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        names = controllers.split(",")
        if not controllers:
            for level in _levels(mount, path):
                memory += _memory_unified(level)
                cpu += _cpu_unified(level)
        if "memory" in names:
            for level in _levels(mount / "memory", path):
                memory += _memory_version_1(level)
        if "cpu" in names:
            for level in _levels(mount / "cpu", path):
                cpu += _cpu_version_1(level, mount / "cpuacct" / level.relative_to(mount / "cpu"))
    return Limits(
        memory=min(memory, key=lambda limit: limit.limit_bytes, default=None),
        cpu=min(cpu, key=lambda limit: limit.cores, default=None),
    )


def _levels(mount: Path, path: str) -> Iterator[Path]:
    """From the cgroup itself up to the mount.

    Without a cgroup namespace a container sees the host's path, which is not there under its own
    mount; the walk then ends at the mount, which is the container's cgroup.
    """
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for depth in range(len(parts), -1, -1):
        level = mount.joinpath(*parts[:depth])
        if level.is_dir():
            yield level


def _memory_unified(level: Path) -> list[MemoryLimit]:
    limit = _integer(level / "memory.max")
    if limit is None:
        return []
    return [MemoryLimit(limit, level / "memory.current", level / "memory.stat", b"inactive_file")]


def _memory_version_1(level: Path) -> list[MemoryLimit]:
    limit = _integer(level / "memory.limit_in_bytes")
    if limit is None or limit >= UNLIMITED_BYTES:
        return []
    usage, statistics = level / "memory.usage_in_bytes", level / "memory.stat"
    return [MemoryLimit(limit, usage, statistics, b"total_inactive_file")]


def _cpu_unified(level: Path) -> list[CpuLimit]:
    words = _read(level / "cpu.max").split()
    if len(words) != 2 or not words[0].isdigit() or not words[1].isdigit() or int(words[1]) == 0:
        return []
    return [CpuLimit(int(words[0]) / int(words[1]), level / "cpu.stat", unified=True)]


def _cpu_version_1(level: Path, accounting: Path) -> list[CpuLimit]:
    quota = _integer(level / "cpu.cfs_quota_us")
    period = _integer(level / "cpu.cfs_period_us")
    if quota is None or period is None or quota <= 0 or period <= 0:
        return []
    # Where cpu and cpuacct are mounted together the file is on the level itself.
    beside = level / "cpuacct.usage"
    usage = beside if beside.exists() else accounting / "cpuacct.usage"
    return [CpuLimit(quota / period, usage, unified=False)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _integer(path: Path) -> int | None:
    try:
        return int(_read(path))
    except ValueError:
        return None


def _statistic(path: Path, name: bytes) -> int | None:
    for line in _read(path).splitlines():
        key, _, value = line.partition(b" ")
        if key == name:
            return int(value) if value.strip().isdigit() else None
    return None
