"""Builds and scripts the NVML stand-in: GPUs for tests and screenshots on machines without any.

    folder = build(tmp_path)
    write(tmp_path / "gpus", {"gpus": 2, "gpu.0.compute": f"{pid}:4096"})
    subprocess.run(command, env=os.environ | environment(folder, tmp_path / "gpus"))

The script may be written again at any time; the next call sees it. Keys:

    gpus N              how many there are
    init CODE           what nvmlInit answers;  driver TEXT, cuda NUMBER
    hang NAME,…         calls that belong to no GPU (init, count, driver) and hang while this stands
    now SECONDS         a clock that stands still, for figures that vary and counters that grow
    pcie_ms MS          how long a measurement of PCIe takes

Of one GPU as `gpu.N.KEY`, of all as `gpu.KEY`:

    lost 1              GPU_IS_LOST to everything
    hang NAME,…         calls that hang while this stands
    unsupported NAME,…  calls that answer NOT_SUPPORTED (also: nvlink, pcie_counters)
    error.NAME CODE     what a call answers
    name, uuid, utilization (percent), memory_utilization, memory_mib, memory_ratio,
    memory_used_bytes, power_w, power_limit_w, sm_mhz, memory_mhz, celsius, fan_percent,
    pcie_generation, pcie_width, pcie_rx_bytes_per_s, pcie_tx_bytes_per_s, narrow_counters 1,
    pcie_rx_kb, pcie_tx_kb (the measurement), nvlink_rx_bytes_per_s, nvlink_tx_bytes_per_s,
    reasons (bits), ecc_corrected, ecc_uncorrected
    compute, graphics, mps   PID:MIB,PID:MIB
    mig COUNT           0 means that MIG is off;  mig.I.compute …  processes of an instance

Names of calls are the first words of the macro GATE in stand_in.c: utilization, memory, memory_v2,
power, power_limit, clock, temperature, fan, fields, pcie, reasons, ecc, compute, mig, handle …
What no line fixes varies over time as a training run's figures do.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).parent / "nvml_stand_in" / "stand_in.c"
LIBRARY = "libnvidia-ml.so.1"


def build(folder: Path) -> Path:
    """Compile the stand-in into `folder`, which is returned, to be put on LD_LIBRARY_PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    command += [f"-Wl,-soname,{LIBRARY}", "-o", str(folder / LIBRARY), str(SOURCE)]
    subprocess.run([*command, "-lm", "-lpthread"], check=True)
    return folder


def write(script: Path, lines: Mapping[str, object]) -> Path:
    """Say what the stand-in answers from now on, in one step."""
    new = script.with_name(script.name + ".new")
    new.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    new.replace(script)
    return script


def environment(folder: Path, script: Path) -> dict[str, str]:
    """What a process needs in its environment to find the stand-in instead of a driver."""
    before = os.environ.get("LD_LIBRARY_PATH", "")
    path = f"{folder}{os.pathsep}{before}" if before else str(folder)
    return {"LD_LIBRARY_PATH": path, "NVML_STAND_IN": str(script)}


def training(gpus: int, pids: Mapping[int, int] | None = None) -> dict[str, object]:
    """Lines for GPUs that train, for screenshots: `pids` says which process runs on which GPU."""
    lines: dict[str, object] = {"gpus": gpus, "gpu.name": "NVIDIA H100 80GB HBM3"}
    lines["gpu.unsupported"] = "fan"  # as on every board for servers
    for gpu, pid in (pids or {}).items():
        lines[f"gpu.{gpu}.compute"] = f"{pid}:58213"
    return lines
