"""Device time: what a traced step's time went to, how well the devices were used, what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fwtop.formatting import (
    UNKNOWN,
    format_duration,
    format_flops,
    format_flops_per_s,
    format_ratio,
    format_short_count,
    format_time_of_run,
    plural,
)
from fwtop.recording.window_model import STEP_CLASSES, StepClasses
from fwtop.tui import charts
from fwtop.tui.drawing import Row, columns, fit, width_of
from fwtop.tui.palette import CLASS_LETTERS
from fwtop.tui.snapshot import DeviceTimeView, Snapshot
from fwtop.tui.widgets.findings import finding_rows
from fwtop.tui.widgets.panel import Panel

NAMES = {"runtime": "launch calls", "dataloader": "data loader", "cpu_op": "operators"}
"""Of step classes that are not named as they are written."""
ADVICE = frozenset({
    "input_bound", "copy_bound", "gpu_idle", "gpu_underused", "throttling", "launch_bound",
    "small_kernels", "low_occupancy", "tensor_cores_unused", "communication_exposed",
})  # fmt: skip
"""Codes of the findings that are about the devices' time."""
LABEL = 15
BESIDE = 70
"""From this width on two blocks stand side by side."""
WIDE = 130
ROOMY = 22
"""From this height on blocks stand apart."""
LEAST_STEPS = 3
"""Lines that single steps are worth."""


class DeviceTime(Panel):
    """Step time by class, the devices' summary, idle time by cause, advice."""

    SUBJECT = "gpus"
    TITLE = "Device time"
    NEEDS = frozenset({"gpus", "findings"})
    ABOUT = (
        "From the trace windows. A step's wall time by what it went to: each moment is claimed "
        "once, by the first of K kernel, M memcpy, Z memset, C communication, L launch calls, "
        "I data loader, O operators on the host, · other. Utilisation: some kernel ran. SM "
        "efficiency: the share of the multiprocessors that had a block. Occupancy: of the "
        "kernels' time, estimated warps against the most there can be. Tensor cores: of the "
        "kernels' time, by the kernels' names. MFU: FLOPs a step against what the board could do "
        "in that time; they come from shapes, so from deep windows (c).\n"
        "GPU time a step, from its first to its last event in the window: computing, "
        "communication and what of it computing hid, copies; idle for the host's next launch, "
        "between two kernels (under 30 µs), and otherwise. Delay: from a launch's end to its "
        "start on the device; queue: launched and not begun, on one stream."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """No window of a device yet."""
        view = snapshot.gpus.device_time if snapshot.gpus is not None else None
        if view is not None and (view.use is not None or view.span_ns):
            return None
        if snapshot.live:
            return "No trace window with kernels yet. c traces one step now."
        return "No kernels: nothing ran on a GPU in the traced steps."

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """How many steps the figures come from."""
        view = snapshot.gpus.device_time if snapshot.gpus is not None else None
        if view is None or not view.windows:
            return []
        if view.window is not None:
            at = format_time_of_run(view.window.start_ns)
            return [(f"window at {at}, {plural(view.steps, 'step')}", "dim")]
        text = f"{plural(view.steps, 'traced step')} in {plural(view.windows, 'window')}"
        return [(text, "dim")]

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """The bar, two blocks, advice; single steps where there is room left."""
        assert snapshot.gpus is not None
        view = snapshot.gpus.device_time
        assert view is not None
        gap: list[Row] = [[]] if height >= ROOMY else []
        rows = _step_time(view, width) + gap
        if width >= BESIDE:
            each = (width - 3) // 2
            blocks = [_use(view, each), _time(view, width - 3 - each)]
            rows += columns(blocks, [each, width - 3 - each], 3)
        else:
            rows += [*_use(view, width), *gap, *_time(view, width)]
        rows += [*_launches(view), *gap]
        if width >= WIDE and view.recent:
            each = (width - 3) // 2
            steps = _single_steps(view.recent, width - 3 - each, height - len(rows))
            rows += columns([_advice(snapshot, each), steps], [each, width - 3 - each], 3)
            return rows[:height]
        rows += _advice(snapshot, width)
        left = height - len(rows) - 1
        if left > LEAST_STEPS and view.recent:
            rows += [[], *_single_steps(view.recent, width, left)]
        return rows[:height]


def _step_time(view: DeviceTimeView, width: int) -> list[Row]:
    if view.sums is None:
        return []
    means = view.sums.mean_ns
    whole = sum(means.values()) or 1.0
    parts = [(name, means[name]) for name in STEP_CLASSES if means[name]]
    title: Row = [("step time ", "dim"), (format_duration(whole), "strong")]
    return [
        title,
        charts.stacked(parts, width, _block_label(whole, dict(parts))),
        *_legend(parts, whole, width),
    ]


def _block_label(whole: float, parts: dict[str, float]) -> Callable[[str, int], str]:
    def label(name: str, cells: int) -> str:
        percent = f"{parts[name] / whole * 100:.0f}%"
        letter = CLASS_LETTERS[name]
        for text in (f"{NAMES.get(name, name)} {percent}", f"{letter} {percent}", letter):
            if len(text) <= cells:
                return text
        return ""

    return label


def _legend(parts: Sequence[tuple[str, float]], whole: float, width: int) -> list[Row]:
    """Each class with its time and share, on as many lines as that takes."""
    rows: list[Row] = [[]]
    for name, value in parts:
        word = f"{CLASS_LETTERS[name]} {NAMES.get(name, name)} "
        share = f" {value / whole * 100:.1f}%"
        group: Row = [
            (word, f"class {name}"),
            (format_duration(value), "strong"),
            (share, "dim"),
        ]
        if rows[-1] and width_of(rows[-1]) + 3 + width_of(group) > width:
            rows.append([])
        rows[-1] += [("   ", "text"), *group] if rows[-1] else group
    return rows


def _use(view: DeviceTimeView, width: int) -> list[Row]:
    """Ratios with bars."""
    use, flops = view.use, view.flops
    if use is None:
        return []
    rows: list[Row] = [[("GPU summary", "title")]]
    for name, ratio in (
        ("utilisation", use.utilization_ratio),
        ("SM efficiency", use.sm_efficiency_ratio),
        ("occupancy", use.occupancy_ratio),
        ("tensor cores", use.tensor_core_ratio),
        ("MFU", flops.mfu_ratio if flops else None),
    ):
        rows.append(
            [
                (fit(name, LABEL), "dim"),
                *charts.bar(ratio, max(4, width - LABEL - 8)),
                (fit(format_ratio(ratio), 8, "right"), "strong"),
            ]
        )
    if flops is not None:
        text = f"{format_flops(flops.step_flops)}, {format_flops_per_s(flops.flops_per_s)}"
        rows.append([(fit("FLOPs a step", LABEL), "dim"), (fit(text, width - LABEL), "text")])
    return rows


def _launches(view: DeviceTimeView) -> list[Row]:
    """How many launches, how long they wait, how many at once."""
    use = view.use
    if use is None or not use.launches:
        return []
    per = max(1, view.steps)
    return [
        [
            ("launches ", "dim"),
            (format_short_count(use.launches / per), "strong"),
            (" a step, queue ≤ ", "dim"),
            (UNKNOWN if use.queue_max is None else str(use.queue_max), "strong"),
            (", delay ", "dim"),
            (format_duration(use.launch_delay_median_ns), "strong"),
            (f" (p95 {format_duration(use.launch_delay_p95_ns)}, ", "text"),
            (f"mean {format_duration(use.launch_delay_mean_ns)})", "text"),
        ]
    ]


def _time(view: DeviceTimeView, width: int) -> list[Row]:
    """Where the devices' own time went, a step, with shares of the span."""
    if not view.span_ns:
        return []
    per = max(1, view.steps)
    copies = view.busy_ns - view.compute_ns - view.communication_ns + view.overlap_ns
    title: Row = [("GPU time ", "title"), (f"{format_duration(view.span_ns / per)} a step", "dim")]
    rows: list[Row] = [title]
    for name, value, role in (
        ("compute", view.compute_ns, "bar"),
        ("communication", view.communication_ns, "bar"),
        ("  hidden", view.overlap_ns, "plot 2"),
        ("copies, fills", max(0, copies), "bar"),
        ("idle: host", view.host_wait_ns, "warn"),
        ("idle: kernels", view.kernel_wait_ns, "warn"),
        ("idle: other", view.other_wait_ns, "warn"),
    ):
        if name in ("communication", "  hidden") and not view.communication_ns:
            continue
        ratio = value / view.span_ns
        rows.append(
            [
                (fit(name, LABEL), "dim"),
                *charts.bar(ratio, max(4, width - LABEL - 18), role),
                (fit(format_duration(value / per), 9, "right"), "strong"),
                (fit(f"{ratio * 100:.1f}%", 9, "right"), "text"),
            ]
        )
    return rows


def _advice(snapshot: Snapshot, width: int) -> list[Row]:
    view = snapshot.findings
    about = [one for one in view.findings if one.code in ADVICE] if view is not None else []
    rows: list[Row] = [[("Performance advice", "title")]]
    for finding in about:
        rows += finding_rows(finding.severity, finding.why, finding.next, {}, width)
    return rows if about else [*rows, [("Nothing that the figures bear out.", "dim")]]


def _single_steps(steps: Sequence[StepClasses], width: int, height: int) -> list[Row]:
    """The last traced steps, each with its bar, to the longest one's scale."""
    shown = steps[-max(0, height - 1) :] if height > 1 else ()
    longest = max((step.duration_ns for step in shown), default=0)
    if not longest:
        return []
    rows: list[Row] = [[("Traced steps", "title")]]
    room = max(4, width - 21)
    for step in shown:
        cells = max(1, round(room * step.duration_ns / longest))
        parts = [(name, float(getattr(step, f"{name}_ns"))) for name in STEP_CLASSES]
        known = [(name, value) for name, value in parts if value * cells >= step.duration_ns / 2]
        rows.append(
            [
                (fit(str(step.step_index), 10, "right") + " ", "dim"),
                *charts.stacked(known, cells, _letter),
                (" " * (room - cells), "text"),
                (fit(format_duration(step.duration_ns), 10, "right"), "strong"),
            ]
        )
    return rows


def _letter(name: str, cells: int) -> str:
    return CLASS_LETTERS[name]
