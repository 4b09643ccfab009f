"""The host sampler on this machine, with real child processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fwtop.devices.host import counters, process_tree
from fwtop.devices.host import sampler as host
from fwtop.devices.host.cgroup import Limits, limits
from fwtop.devices.host.sampler import HostSampler
from fwtop.devices.samples import HostProcessReading, RunScope, Samples

SECOND = 1_000_000_000

TREE = """
import os, subprocess, sys
child = "import sys; print(flush=True); sys.stdin.read()"
def start(**options):
    process = subprocess.Popen([sys.executable, "-S", "-c", child], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, **options)
    process.stdout.readline()
    return process
children = [start(), start(start_new_session=True)]
print(*(child.pid for child in children), flush=True)
for line in sys.stdin:
    if line == "end one\\n":
        children[0].kill()
        children[0].wait()
    if line == "start one\\n":
        children.append(start())
    if line == "work\\n":
        sum(range(10_000_000))
    if line == "orphan\\n":
        middle = subprocess.run(["sh", "-c", "sleep 1000 >/dev/null & echo $!"],
                                stdout=subprocess.PIPE, text=True)
        print(middle.stdout.strip(), flush=True)
        continue
    print(children[-1].pid, flush=True)
for child in children:
    child.kill()
"""


class Script:
    """A script of its own session with children, which does what it is told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", TREE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.children = [int(pid) for pid in self._read().split()]

    @property
    def run(self) -> RunScope:
        return RunScope(roots=frozenset({self.pid}))

    def tell(self, line: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()
    yield script
    script.end()


def found(samples: Samples) -> dict[int, HostProcessReading]:
    return {process.pid: process for process in samples.host_processes}


def test_the_machine(tmp_path: Path) -> None:
    sampler = HostSampler(find_limits=Limits)
    sampler.start()
    before = psutil.cpu_times()
    while psutil.cpu_times() == before:  # until the kernel has counted a tick
        pass
    (tmp_path / "file").write_bytes(b"x" * 100)
    samples = sampler.sample(RunScope())
    reading = samples.host
    assert reading is not None
    assert reading.cpu_ratio is not None
    assert 0 < reading.cpu_ratio <= 1
    usable = getattr(os, "sched_getaffinity", lambda pid: range(psutil.cpu_count()))(0)
    assert len(reading.core_ratios) == len(usable)
    assert all(0 <= ratio <= 1 for ratio in reading.core_ratios)
    assert reading.memory_total_bytes == psutil.virtual_memory().total
    assert reading.memory_used_bytes is not None
    assert 0 < reading.memory_used_bytes < reading.memory_total_bytes
    assert reading.load_1 is not None
    assert reading.recorder_rss_bytes is not None
    assert reading.recorder_rss_bytes > 1 << 20
    assert reading.recorder_cpu_ratio is not None
    assert reading.run_processes is None
    assert samples.run_pids == frozenset()
    assert sampler.reason is None
    sampler.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a process is tied to cores on Linux alone")
def test_the_cores_are_those_that_may_be_used() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        sampler = HostSampler(find_limits=Limits)
        sampler.start()
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            pass
        reading = sampler.sample(RunScope()).host
    finally:
        os.sched_setaffinity(0, before)
    assert reading is not None
    assert reading.core_ratios == (reading.cpu_ratio,)
    assert reading.cpu_ratio > 0.5


def test_the_run_is_the_script_and_its_descendants(script: Script) -> None:
    sampler = HostSampler()
    samples = sampler.sample(script.run)
    processes = found(samples)
    assert set(processes) == {script.pid, *script.children} == samples.run_pids
    assert os.getpid() not in samples.run_pids
    assert processes[script.children[0]].parent_pid == script.pid
    assert all(process.alive and process.threads == 1 for process in processes.values())
    assert all("python" in process.name for process in processes.values())
    reading = samples.host
    assert reading is not None
    assert reading.run_processes == 3
    resident = [process.rss_bytes for process in processes.values()]
    assert reading.run_rss_bytes == sum(rss for rss in resident if rss is not None)


def test_cpu_of_the_run_is_told_in_cores(script: Script) -> None:
    at = [SECOND]
    sampler = HostSampler(clock=lambda: at[0])
    first = sampler.sample(script.run).host
    assert first is not None
    assert first.run_cpu_ratio is None
    before = sum(psutil.Process(script.pid).cpu_times()[:2])
    script.tell("work")
    used_s = sum(psutil.Process(script.pid).cpu_times()[:2]) - before
    assert used_s > 0
    at[0] += 2 * SECOND
    samples = sampler.sample(script.run)
    busiest = samples.host_processes[0]
    assert busiest.pid == script.pid
    assert busiest.cpu_ratio == pytest.approx(used_s / 2, abs=0.02)
    assert samples.host is not None
    assert samples.host.run_cpu_ratio == pytest.approx(used_s / 2, abs=0.02)


def test_processes_come_and_go(script: Script) -> None:
    sampler = HostSampler()
    sampler.sample(script.run)
    script.tell("end one")
    new = script.tell("start one")
    samples = sampler.sample(script.run)
    assert found(samples)[new].alive
    assert not found(samples)[script.children[0]].alive
    assert samples.run_pids == {script.pid, script.children[1], new}
    assert script.children[0] not in found(sampler.sample(script.run))


def test_an_orphan_of_the_scripts_session_is_of_the_run(script: Script) -> None:
    sampler = HostSampler()
    sampler.sample(script.run)
    orphan = script.tell("orphan")
    try:
        assert psutil.Process(orphan).ppid() != script.pid
        assert orphan in sampler.sample(script.run).run_pids
    finally:
        os.kill(orphan, 9)


def test_what_outlives_the_script_stays_of_the_run(script: Script) -> None:
    sampler = HostSampler()
    orphan = script.tell("orphan")
    try:
        assert orphan in sampler.sample(script.run).run_pids
        os.kill(script.pid, 9)
        script.end()
        samples = sampler.sample(script.run)
        assert script.pid not in samples.run_pids
        assert orphan in samples.run_pids
    finally:
        os.kill(orphan, 9)


def test_a_zombie_has_ended() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        sampler = HostSampler()
        run = RunScope(roots=frozenset({child.pid}))
        assert sampler.sample(run).run_pids == {child.pid}
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
        samples = sampler.sample(run)
        assert samples.run_pids == frozenset()
        assert not found(samples)[child.pid].alive


def test_a_process_that_said_hello_is_of_the_run_wherever_it_is(script: Script) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as daemon:
        sampler = HostSampler()
        sampler.sample(script.run)
        run = RunScope(roots=frozenset({script.pid, daemon.pid}))
        assert daemon.pid in sampler.sample(run).run_pids
        daemon.kill()


def test_the_list_is_bounded_and_the_sums_are_not(script: Script) -> None:
    sampler = HostSampler(processes=1)
    samples = sampler.sample(script.run)
    assert len(samples.host_processes) == 1
    assert samples.host is not None
    assert samples.host.run_processes == 3
    assert len(samples.run_pids) == 3


def test_what_may_not_be_read_is_none(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psutil.AccessDenied(script.pid)

    def fail(*_: object, **__: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(psutil._psplatform.Process, "cpu_times", refuse)
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: None)
    monkeypatch.setattr(psutil, "net_io_counters", fail)
    monkeypatch.setattr(psutil, "swap_memory", fail)
    sampler = HostSampler()
    samples = sampler.sample(script.run)
    assert len(samples.host_processes) == 3
    assert all(
        process.cpu_ratio is None and process.rss_bytes is None
        for process in samples.host_processes
    )
    reading = samples.host
    assert reading is not None
    assert reading.run_cpu_ratio is None
    assert reading.run_rss_bytes is None
    assert reading.disk_read_bytes_per_s is None
    assert reading.network_rx_bytes_per_s is None
    assert reading.swap_used_bytes is None
    assert reading.memory_total_bytes is not None


def test_each_byte_of_disk_and_network_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counts:
        def __init__(self, number: int) -> None:
            self.read_bytes = self.write_bytes = number
            self.bytes_recv = self.bytes_sent = number

    hardware = {"sda", "eth0"}
    monkeypatch.setattr(counters, "_is_hardware", lambda kind, name: name in hardware)
    disks = {"sda": Counts(5), "sda1": Counts(5), "dm-0": Counts(5)}
    monkeypatch.setattr(psutil, "disk_io_counters", lambda perdisk: disks)
    cards = {"lo": Counts(100), "eth0": Counts(7), "docker0": Counts(7)}
    monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: cards)
    assert counters.disk_bytes() == (5, 5)
    assert counters.network_bytes() == (7, 7)
    hardware.clear()
    assert counters.network_bytes() == (14, 14)  # a container's own end: all but loopback


Files = Callable[[dict[str, str]], Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    def make(contents: dict[str, str]) -> Path:
        for name, content in contents.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    return make


def test_limits_of_version_2_are_the_tightest_on_the_way_up(files: Files) -> None:
    root = files(
        {
            "proc/self/cgroup": "0::/slice/job\n",
            "sys/fs/cgroup/slice/memory.max": "4000000\n",
            "sys/fs/cgroup/slice/memory.current": "3000000\n",
            "sys/fs/cgroup/slice/memory.stat": "anon 1\ninactive_file 500000\n",
            "sys/fs/cgroup/slice/job/memory.max": "max\n",
            "sys/fs/cgroup/slice/job/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/slice/job/cpu.stat": "usage_usec 2500\nuser_usec 1\n",
            "sys/fs/cgroup/slice/cpu.max": "max 100000\n",
        }
    )
    found = limits(root)
    assert found.memory is not None
    assert found.memory.limit_bytes == 4_000_000
    assert found.memory.used_bytes() == 2_500_000
    assert found.cpu is not None
    assert found.cpu.cores == 1.5
    assert found.cpu.used_ns() == 2_500_000


def test_limits_of_version_1_where_a_container_sees_the_hosts_path(files: Files) -> None:
    root = files(
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "900000\n",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 300000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpuacct/cpuacct.usage": "123\n",
        }
    )
    found = limits(root)
    assert found.memory is not None
    assert (found.memory.limit_bytes, found.memory.used_bytes()) == (1_000_000, 600_000)
    assert found.cpu is not None
    assert (found.cpu.cores, found.cpu.used_ns()) == (2.0, 123)


def test_no_limits(files: Files) -> None:
    assert limits(files({})) == Limits()
    root = files(
        {
            "proc/self/cgroup": "4:memory:/\n5:cpu:/\n0::/\nnonsense\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }
    )
    assert limits(root) == Limits()


def test_in_a_container_the_host_is_the_container(files: Files) -> None:
    root = files(
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "1000000\n",
            "sys/fs/cgroup/memory.current": "250000\n",
            "sys/fs/cgroup/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/cpu.stat": "usage_usec 0\n",
        }
    )
    at = [SECOND]
    sampler = HostSampler(clock=lambda: at[0], find_limits=lambda: limits(root))
    sampler.start()
    (root / "sys/fs/cgroup/cpu.stat").write_text("usage_usec 1500000\n")
    at[0] += SECOND
    reading = sampler.sample(RunScope()).host
    assert reading is not None
    assert reading.cpu_ratio == pytest.approx(0.75)
    assert reading.core_ratios == ()
    assert reading.memory_total_bytes == 1_000_000
    assert reading.memory_used_bytes == 250_000


def test_only_new_processes_are_asked_for_their_parent(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    parent = process_tree._parent

    def ask(pid: int) -> int | None:
        asked.append(pid)
        return parent(pid)

    monkeypatch.setattr(process_tree, "_parent", ask)
    sampler = HostSampler()
    sampler.sample(script.run)
    assert script.pid in asked
    asked.clear()
    new = script.tell("start one")
    sampler.sample(script.run)
    assert new in asked
    assert script.pid not in asked
    assert host.PROCESSES >= 16
