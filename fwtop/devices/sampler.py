"""What every sampler looks like to the recorder, whatever the vendor.

    sampler = NvidiaSampler()
    sampler.start()
    while …:
        samples = sampler.sample(RunScope(roots=…, pids=…, device_uuids=…))
    sampler.close()

No method raises for what the machine lacks, and none blocks for longer than the sampler's deadline.
"""

from __future__ import annotations

from typing import Protocol

from fwtop.devices.samples import RunScope, Samples


class Sampler(Protocol):
    """A source of readings. Called by one thread."""

    @property
    def name(self) -> str:
        """`nvidia`, `host` …: for logs and `fwtop doctor`."""
        ...

    @property
    def reason(self) -> str | None:
        """Why nothing is to be had here now, in words for the user; None while it works."""
        ...

    def start(self) -> None:
        """Look for what there is. A second call does nothing."""
        ...

    def sample(self, run: RunScope) -> Samples:
        """One reading now. What is not available is empty, never an error."""
        ...

    def close(self) -> None:
        """Let go of everything; a call that hangs is left behind. A second call does nothing."""
        ...
