"""What the devices' time pane shows, asked for again only when there is another window."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.analysis.device_use import device_use
from fwtop.analysis.steps import figures
from fwtop.queries import device_time, operators, steps
from fwtop.queries.flops_use import flops_use, peak_flops_per_s
from fwtop.recording.model import Device
from fwtop.recording.store import Recording
from fwtop.recording.window_model import Window
from fwtop.tui.readers import chosen_windows
from fwtop.tui.snapshot import DeviceTimeView, Moment

RECENT_STEPS = 100


class DeviceTimeReader:
    """Belongs to one open recording; runs in the watcher's thread."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._key: object = None
        self._view: DeviceTimeView | None = None

    def view(self, moment: Moment, devices: Sequence[Device]) -> DeviceTimeView:
        """Of all windows, or of the one nearest to the cursor."""
        chosen, window = chosen_windows(self._recording, moment)
        key = (tuple(chosen), window is not None)
        if self._view is None or key != self._key:
            self._key, self._view = key, self._read(chosen, window, moment, devices)
        return self._view

    def _read(
        self, chosen: list[int], window: Window | None, moment: Moment, devices: Sequence[Device]
    ) -> DeviceTimeView:
        recording = self._recording
        wanted = set(chosen)
        told = [
            one
            for one in operators.windows(recording)
            if one.id in wanted and one.span_ns and one.busy_ns is not None
        ]
        lead = steps.lead_process(recording)
        until = moment.until_ns
        step_ns = figures(
            steps.totals(recording, lead, until), steps.set_apart(recording, lead, until)
        ).mean_ns

        def total(name: str) -> int:
            return sum(getattr(one, name) or 0 for one in told)

        return DeviceTimeView(
            windows=len(told),
            steps=sum(one.step_count for one in told),
            window=window,
            use=device_use(
                device_time.device_times(recording, chosen),
                device_time.launch_delays(recording, chosen),
            ),
            sums=device_time.step_class_sums(recording, chosen),
            recent=device_time.step_classes(recording, chosen, RECENT_STEPS),
            flops=flops_use(recording, step_ns, peak_flops_per_s(devices), until),
            span_ns=total("span_ns"),
            busy_ns=total("busy_ns"),
            compute_ns=total("compute_ns"),
            communication_ns=total("communication_ns"),
            overlap_ns=total("overlap_ns"),
            host_wait_ns=total("host_wait_ns"),
            kernel_wait_ns=total("kernel_wait_ns"),
            other_wait_ns=total("other_wait_ns"),
        )
