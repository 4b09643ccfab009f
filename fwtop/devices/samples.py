"""What the samplers yield: one reading of the devices and of the host, ready to be recorded.

Field names are the columns of `fwtop.recording.schema` (`devices`, `device_samples`,
`device_processes`, `host_samples`, `host_processes`). `at_ns` is CLOCK_MONOTONIC of this machine;
the recorder turns it into time since the run's start. A ratio is 0..1. What a device lacks, what
may not be read and what is not known yet is `None`, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Fact = str | int | float | bool


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """A GPU, or a MIG instance of one: what does not change from second to second."""

    device_key: str
    """The UUID, or `vendor:index` for a device without one."""
    vendor: str
    """`nvidia`."""
    device_index: int
    """The vendor's own number. A MIG instance has its number within its GPU."""
    name: str
    uuid: str | None
    parent_key: str | None
    """`device_key` of the GPU that a MIG instance lies on."""
    memory_total_bytes: int | None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """`{"driver": "580.65", "pcie_generation_max": 5, "ecc": true …}`."""
    used: bool = False
    """Whether this run uses it; once True it stays so."""


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """One reading of one device."""

    device_key: str
    at_ns: int
    utilization_ratio: float | None = None
    """Share of the last sample period in which any kernel ran."""
    memory_utilization_ratio: float | None = None
    """Share of the last sample period in which device memory was read or written."""
    memory_used_bytes: int | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    sm_clock_hz: int | None = None
    memory_clock_hz: int | None = None
    temperature_c: float | None = None
    fan_ratio: float | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    pcie_rx_bytes_per_s: int | None = None
    """Into the device."""
    pcie_tx_bytes_per_s: int | None = None
    nvlink_rx_bytes_per_s: int | None = None
    """All links together."""
    nvlink_tx_bytes_per_s: int | None = None
    throttle_reasons: str | None = None
    """Comma-separated words, `''` for none; an idle device is not throttled."""
    ecc_corrected: int | None = None
    """Since the driver was loaded."""
    ecc_uncorrected: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceProcessReading:
    """A process that holds a context on a device."""

    device_key: str
    pid: int
    at_ns: int
    name: str | None
    memory_bytes: int | None
    own: bool
    """Whether it is of this run."""


@dataclass(frozen=True, slots=True)
class HostReading:
    """One reading of the host, and of the run's processes as sums.

    In a container with limits the host is the container: CPU and memory are its own use against
    its own limits.
    """

    at_ns: int
    cpu_ratio: float | None = None
    """Of all cores that may be used."""
    core_ratios: tuple[float, ...] = ()
    """Of each of those cores, as the machine numbers them. Empty under a quota, which is of none in
    particular: then nothing says how many there are."""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    swap_used_bytes: int | None = None
    disk_read_bytes_per_s: int | None = None
    disk_write_bytes_per_s: int | None = None
    network_rx_bytes_per_s: int | None = None
    network_tx_bytes_per_s: int | None = None
    load_1: float | None = None
    run_cpu_ratio: float | None = None
    """In cores: 2.0 is two cores busy."""
    run_rss_bytes: int | None = None
    run_processes: int | None = None
    recorder_cpu_ratio: float | None = None
    """In cores."""
    recorder_rss_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HostProcessReading:
    """One process of the run's tree."""

    pid: int
    parent_pid: int | None
    at_ns: int
    name: str
    cpu_ratio: float | None
    """In cores."""
    rss_bytes: int | None
    threads: int | None
    alive: bool
    """False once, in the sample that finds it gone."""


@dataclass(frozen=True, slots=True)
class SamplerNotice:
    """What a sampler has to say to the user, for table `notices`; said once a change."""

    severity: str
    """`info`, `warning`, `error`."""
    code: str
    text: str
    next: str = ""


@dataclass(frozen=True, slots=True)
class RunScope:
    """What is known to belong to the run, so that samplers tell it from the rest."""

    roots: frozenset[int] = frozenset()
    """The script's pid, and the pid of each process that said Hello."""
    pids: frozenset[int] = frozenset()
    """The whole process tree as the host sampler last saw it (`Samples.run_pids`)."""
    device_uuids: frozenset[str] = frozenset()
    """Devices that probes named; with or without the `GPU-` before them, in any case."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What one call of a sampler found. All parts may be empty."""

    at_ns: int
    devices: tuple[DeviceDescription, ...] = ()
    """Only those that are new or changed (`used`, facts); to be upserted by `device_key`. A MIG
    instance comes after its GPU."""
    readings: tuple[DeviceReading, ...] = ()
    processes: tuple[DeviceProcessReading, ...] = ()
    """All of them, each time: what is not here any more has left its device, unless `stale`."""
    host: HostReading | None = None
    host_processes: tuple[HostProcessReading, ...] = ()
    run_pids: frozenset[int] = frozenset()
    """Of the host sampler: every process of the run, also those not in `host_processes`."""
    notices: tuple[SamplerNotice, ...] = ()
    stale: bool = False
    """The source did not answer in time: all fields of the readings are None."""
