"""The time cursor, pause and zoom as pure steps from one `Wanted` to the next."""

from __future__ import annotations

from dataclasses import replace

from fwtop.tui.collect import axis_of
from fwtop.tui.snapshot import Moment, Wanted

MINUTE_NS = 60_000_000_000
SPANS_NS = (*(minutes * MINUTE_NS for minutes in (1, 2, 5, 15, 60, 240, 1440)), 0)
"""0 is the whole run."""


def moved(wanted: Wanted, moment: Moment, bins: int) -> Wanted:
    """The cursor `bins` further; past the newest bin it is live again. The plot follows it."""
    axis = axis_of(wanted, moment)
    start = wanted.cursor_ns
    if start is None:
        if bins > 0:
            return wanted
        start = moment.at_ns
    newest = moment.now_ns if wanted.paused_ns is None else wanted.paused_ns
    middle = start // axis.bin_ns * axis.bin_ns + axis.bin_ns // 2
    cursor = middle + bins * axis.bin_ns
    if cursor >= newest:
        return live(wanted)
    return _shown(replace(wanted, cursor_ns=max(0, cursor)), moment)


def at(wanted: Wanted, moment: Moment, at_ns: int) -> Wanted:
    """The cursor at a moment."""
    return _shown(replace(wanted, cursor_ns=max(0, min(at_ns, moment.now_ns))), moment)


def live(wanted: Wanted) -> Wanted:
    """No cursor: the end, and what comes."""
    return replace(wanted, cursor_ns=None, axis_end_ns=None)


def paused(wanted: Wanted, moment: Moment) -> Wanted:
    """Frozen at this moment, or, if it was, live again."""
    if wanted.paused_ns is not None:
        return replace(wanted, paused_ns=None)
    return replace(wanted, paused_ns=moment.now_ns)


def zoomed(wanted: Wanted, moment: Moment, by: int) -> Wanted:
    """More time (`by` 1) or less (-1) in the plots; the cursor stays in view."""
    index = SPANS_NS.index(wanted.span_ns) if wanted.span_ns in SPANS_NS else 1
    if by > 0 and wanted.span_ns != 0:
        longer = [span for span in SPANS_NS[index + 1 : -1] if span < moment.now_ns * 1.5]
        span = longer[0] if longer else 0
    elif by < 0:
        shorter = [s for s in SPANS_NS[:-1] if s < (wanted.span_ns or moment.now_ns)]
        span = shorter[-1] if shorter else SPANS_NS[0]
    else:
        span = wanted.span_ns
    changed = replace(wanted, span_ns=span, axis_end_ns=None)
    if changed.cursor_ns is None:
        return changed
    return _shown(changed, moment)


def _shown(wanted: Wanted, moment: Moment) -> Wanted:
    """With the plot's end moved so that the cursor lies in it."""
    assert wanted.cursor_ns is not None
    axis = axis_of(wanted, moment)
    if axis.column(wanted.cursor_ns) is not None:
        return wanted
    half = axis.bin_ns * axis.count // 2
    end = wanted.cursor_ns + half
    return replace(wanted, axis_end_ns=max(end, axis.bin_ns * axis.count))
