"""Each second's readings of devices, allocator and host of a synthetic run, and its output."""

from __future__ import annotations

from tests.recording_spec import FIRST_STEP_NS, GIB, GPU_BYTES, MS, Rows, S


class ReadingRows(Rows):
    """Readings and output, as far as the run has come."""

    _next_sample_ns: int
    _next_log_ns: int

    def _add_readings(self) -> None:
        """Samples of each second, and the output, up to now."""
        now_ns = self.now_ns
        while self._next_sample_ns <= now_ns:
            at_ns = self._next_sample_ns
            busy = at_ns >= FIRST_STEP_NS
            for device_id in range(1, self.spec.gpus + 1):
                self._add_device_sample(device_id, at_ns, busy and device_id <= self.spec.processes)
            if self.spec.host:
                self._add_host_sample(at_ns, busy)
            self._next_sample_ns += S
        if self.spec.log:
            self._add_log(now_ns)

    def _add_device_sample(self, device_id: int, at_ns: int, busy: bool) -> None:
        spec = self.spec
        load = min(1.0, spec.utilization * self._random.uniform(0.96, 1.04)) if busy else 0.0
        share = spec.memory_share * min(1.0, 0.6 + at_ns / (60 * S)) if busy else 0.006
        reasons = "sw thermal" if spec.throttled and busy else ""
        self.insert(
            "device_samples", device_id=device_id, at_ns=at_ns, utilization_ratio=load,
            memory_utilization_ratio=load * 0.6, memory_used_bytes=int(GPU_BYTES * share),
            power_w=62 + 310 * load, power_limit_w=400.0,
            sm_clock_hz=int((1100 if reasons else 1410) * 1e6) if busy else 210_000_000,
            memory_clock_hz=1_593_000_000, temperature_c=34 + 30 * load, fan_ratio=None,
            pcie_generation=4, pcie_width=16, pcie_rx_bytes_per_s=int(1.2e9 * load),
            pcie_tx_bytes_per_s=int(2e8 * load), throttle_reasons=reasons,
            ecc_corrected=0, ecc_uncorrected=0,
        )  # fmt: skip
        if busy:
            allocated = int(GPU_BYTES * share * 0.9)
            self.insert(
                "memory_samples", process_id=device_id, at_ns=at_ns,
                device=f"cuda:{device_id - 1}", allocated_bytes=allocated,
                reserved_bytes=int(GPU_BYTES * share), active_bytes=allocated,
                allocated_peak_bytes=int(allocated * 1.05),
                reserved_peak_bytes=int(GPU_BYTES * share), retries=0, ooms=0,
            )  # fmt: skip

    def _add_host_sample(self, at_ns: int, busy: bool) -> None:
        spec = self.spec
        loads = [
            min(1.0, self._random.uniform(0.1, 0.5) + (0.5 if busy and core < 4 else 0))
            for core in range(spec.cores)
        ]
        self.insert(
            "host_samples", at_ns=at_ns, cpu_ratio=sum(loads) / spec.cores,
            core_ratios=bytes(int(load * 255) for load in loads), memory_used_bytes=48 * GIB,
            memory_total_bytes=256 * GIB, swap_used_bytes=0,
            disk_read_bytes_per_s=int(self._random.uniform(0.5, 1.5) * 120e6),
            disk_write_bytes_per_s=2_000_000, network_rx_bytes_per_s=40_000,
            network_tx_bytes_per_s=90_000, load_1=sum(loads), run_cpu_ratio=4.2 if busy else 1.0,
            run_rss_bytes=6 * GIB, run_processes=5, recorder_cpu_ratio=0.012,
            recorder_rss_bytes=48 << 20,
        )  # fmt: skip
        self._db.executemany(
            "REPLACE INTO host_processes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(4000, 3999, at_ns, "python3", 1.02, 4 * GIB, 71, 1)]
            + [(4100 + n, 4000, at_ns, "pt_data_worker", 0.8, GIB // 2, 1, 1) for n in range(4)],
        )

    def _add_log(self, now_ns: int) -> None:
        """What tqdm draws twice a second: a bar after a carriage return, a line an epoch."""
        self._next_log_ns = self._next_log_ns or FIRST_STEP_NS
        while self._next_log_ns <= now_ns:
            whole = self.spec.epoch_steps or self.spec.steps
            done = (self._next_log_ns - FIRST_STEP_NS) // self.spec.step_ns
            epoch, at = divmod(done, whole)
            bar = "█" * (at * 20 // whole)
            text = f"\repoch {epoch}: {at * 100 // whole:3}%|{bar:<20}| {at}/{whole} [10.1it/s]"
            if at < 500 * MS // self.spec.step_ns and epoch:
                text = f"\n\x1b[32mepoch {epoch - 1} done\x1b[0m loss {2.3 / epoch:.3f}\n" + text
                self.insert(
                    "marks", process_id=1, at_ns=self._next_log_ns, name="epoch", value=str(epoch)
                )
            self.insert("log", at_ns=self._next_log_ns, stream=1, data=text.encode())
            self._next_log_ns += 500 * MS
