"""The header: which run this is, how it stands, and what watching it costs."""

from __future__ import annotations

import signal

from textual.strip import Strip

from fwtop.analysis.finders.recorder import is_over_budget
from fwtop.formatting import (
    UNKNOWN,
    format_command,
    format_duration,
    format_rate,
    format_ratio,
    format_time_of_run,
)
from fwtop.recording.model import Governor, Run
from fwtop.tui.drawing import Row, fit, strip_of, width_of
from fwtop.tui.snapshot import Snapshot
from fwtop.tui.widgets.panel import Panel

STATES = {
    "starting": ("◌", "starting", "warn"),
    "running": ("●", "running", "strong good"),
    "finishing": ("◌", "finishing", "warn"),
    "lost": ("✖", "lost: its end was not seen", "bad"),
}


class Header(Panel, can_focus=False):
    """One line, or two where there is room."""

    SUBJECT = "header"
    NEEDS = frozenset({"steps"})

    def _draw(self) -> list[Strip]:
        width, height = self.size
        if self.snapshot is None:
            rows: list[Row] = [[(" fwtop", "title"), ("  opening the recording …", "dim")]]
        else:
            rows = header_rows(self.snapshot, width, height)
        rows += [[] for _ in range(height - len(rows))]
        return [strip_of(row, width) for row in rows[:height]]


def header_rows(snapshot: Snapshot, width: int, height: int) -> list[Row]:
    """What identifies the run at the left, how it stands at the right."""
    right = _status(snapshot)
    moment = _moment(snapshot)
    if height == 1:
        cost = _overhead(snapshot) if not moment and width >= 76 else []
        right = [*moment, *cost, *([("  ", "text")] if cost else []), *right]
    room = width - width_of(right) - 10
    left: Row = [(" fwtop ", "title"), (" ", "text")]
    left.append((fit(command_of(snapshot.run), max(0, room)), "text"))
    first = [*left, (" " * max(0, width - width_of(left) - width_of(right) - 1), "text"), *right]
    if height == 1:
        return [first]
    parts = [*_facts(snapshot)]
    second: Row = [(" ", "text")]
    cost = [*moment, *_overhead(snapshot), (" ", "text")]
    for part in parts:
        if width_of(second) + width_of(part) + width_of(cost) + 6 > width:
            break
        second += ([("  │  ", "track")] if len(second) > 1 else []) + part
    gap = width - width_of(second) - width_of(cost)
    return [first, [*second, (" " * max(0, gap), "text"), *cost]]


def command_of(run: Run) -> str:
    """The command as it was typed, its script without the folders; of a trace, what it is."""
    if run.command:
        return format_command(run.command)
    return f"{run.source} {run.name}" if run.name else run.source


def state_of(run: Run, recorder_gone: bool = False, watching: bool = True) -> tuple[str, str, str]:
    """Sign, words and role of how the run stands."""
    if recorder_gone:
        return "▲", "recorder gone", "strong warn"
    if run.live and not watching:
        return "✖", "no longer watched: it was still running when this was written", "warn"
    if run.state != "finished":
        return STATES.get(run.state, ("?", run.state, "warn"))
    if run.exit_signal is not None:
        try:
            name = signal.Signals(run.exit_signal).name
        except ValueError:
            name = f"signal {run.exit_signal}"
        return "✖", f"ended by {name}", "strong bad"
    if run.exit_status is None:
        return "■", "ended", "strong"
    if run.exit_status == 0:
        return "✔", "finished, exit 0", "strong good"
    return "✖", f"failed, exit {run.exit_status}", "strong bad"


def _status(snapshot: Snapshot) -> Row:
    sign, words, role = state_of(snapshot.run, snapshot.recorder_gone, snapshot.watching)
    elapsed = snapshot.run.duration_ns
    if elapsed is None:
        elapsed = snapshot.moment.now_ns
    return [(f"{sign} {words}", role), (f"  {format_time_of_run(elapsed)} ", "strong")]


def _moment(snapshot: Snapshot) -> Row:
    moment = snapshot.moment
    if moment.cursor_ns is not None:
        back = format_duration(max(0, moment.now_ns - moment.cursor_ns))
        text = f"┃ at {format_time_of_run(moment.cursor_ns)} (-{back}), end: back"
        return [(text, "cursor"), ("  ", "text")]
    if moment.paused_ns is not None:
        return [(f"‖ paused at {format_time_of_run(moment.paused_ns)}", "cursor"), ("  ", "text")]
    return []


def _facts(snapshot: Snapshot) -> list[Row]:
    parts: list[Row] = []
    names = dict.fromkeys(f"{f.name} {f.version}" for f in snapshot.frameworks)
    if names:
        parts.append([(" + ".join(names), "text")])
    world = next((p.world_size for p in snapshot.processes if p.world_size), None)
    if world and world > 1:
        seen = sum(1 for p in snapshot.processes if p.rank is not None)
        parts.append([(f"{seen}", "strong"), (f" of {world} ranks", "dim")])
    shown = snapshot.steps.recent if snapshot.steps is not None else None
    if snapshot.steps is not None and not snapshot.live:
        shown = snapshot.steps.whole or shown
    if shown is not None:
        parts.append([(format_duration(shown.mean_ns), "strong"), (" a step", "dim")])
        if shown.samples_per_s is not None:
            parts.append([(format_rate(shown.samples_per_s, "samples"), "strong")])
    parts.append([(snapshot.run.host or UNKNOWN, "dim")])
    return parts


def _overhead(snapshot: Snapshot) -> Row:
    governor = worst_governor(snapshot)
    if governor is None:
        return []
    over = is_over_budget(governor)
    return [
        ("overhead ", "dim"),
        (format_ratio(governor.measured_ratio), "strong warn" if over else "strong"),
        (f" of {format_ratio(governor.budget_ratio)}{' ▲' if over else ''}", "dim"),
    ]


def worst_governor(snapshot: Snapshot) -> Governor | None:
    """Of several processes, the one that pays most."""
    known = list(snapshot.governors)
    return max(known, key=lambda governor: governor.measured_ratio or 0.0) if known else None
