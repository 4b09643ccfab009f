"""Compile: what is compiled, why again, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.formatting import format_count, format_duration, format_time_of_run, plural
from fwtop.recording.model import CompileEvent
from fwtop.tui.drawing import Row, Span, fit, wrap
from fwtop.tui.snapshot import CompileView, Snapshot
from fwtop.tui.widgets.panel import Panel
from fwtop.tui.widgets.table import Column, Table

SIGNS = {
    "compile": ("⚙", "text"),
    "graph_break": ("✂", "warn"),
    "recompile": ("↻", "warn"),
    "trace": ("⚙", "text"),
    "retrace": ("↻", "warn"),
    "cache_hit": ("+", "good"),
    "cache_miss": ("-", "dim"),
    "cache_bypass": ("~", "dim"),
    "phase": ("·", "dim"),
    "xla": ("⚙", "text"),
    "fallback": ("!", "warn"),
}
WHOLE = frozenset({"compile", "trace", "retrace", "xla"})
QUIET = frozenset({"phase", "cache_hit", "cache_miss", "cache_bypass"})


def sign(event: CompileEvent) -> Span:
    """The event's sign; every kind has its word beside it."""
    return SIGNS.get(event.kind, ("·", "dim"))


def place(event: CompileEvent, room: int = 1000) -> str:
    """`function (file:line)`, as much as is known; where that is too long, `file:line` alone."""
    where = ""
    if event.file:
        where = event.file.rsplit("/", 1)[-1] + (f":{event.line}" if event.line else "")
    if event.function and where:
        both = f"{event.function} ({where})"
        return both if len(both) <= room else where
    return event.function or where or event.name


class Compiles(Panel):
    """Counters, the phase under way, the latest events with reason and line."""

    SUBJECT = "compile"
    TITLE = "Compile"
    KEY = "3"
    NEEDS = frozenset({"compile"})
    ABOUT = (
        "⚙ a compile or trace, ↻ a recompile or retrace and why, ✂ a graph break and where, "
        "+ - ~ the cache's hits, misses and bypasses. What is under way is shown nested, with the "
        "time it has taken so far."
    )

    def awaited(self, snapshot: Snapshot) -> str | None:
        """Nothing has been compiled."""
        view = snapshot.compile
        if view is None or not (view.events or view.under_way):
            if snapshot.run.imported:
                return "The trace tells of no compile (a TORCH_TRACE log would)."
            if not snapshot.live:
                return "Nothing was compiled: the run was eager throughout."
            return "Nothing compiled so far: eager, or torch.compile / tf.function yet to come."
        return None

    def headline(self, snapshot: Snapshot, width: int) -> Row:
        """The counters."""
        view = snapshot.compile
        if view is None or not view.events:
            return []
        row: Row = [
            (plural(view.totals.count, "compile"), "text"),
            (f" {format_duration(view.totals.total_ns)}", "strong"),
        ]
        extra: list[tuple[int, str]] = [
            (view.totals.recompiles + view.totals.retraces, "↻"),
            (view.totals.graph_breaks, "✂"),
        ]
        for number, word in extra:
            if number:
                row += [("  ", "dim"), (f"{word} {format_count(number)}", "warn")]
        return row

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """Under way first, then the newest events."""
        view = snapshot.compile
        assert view is not None
        rows = under_way(view, snapshot, width)[:height]
        shown = {event.id for event in view.under_way}
        events = [e for e in view.events if e.kind not in QUIET and e.id not in shown]
        room = height - len(rows)
        picked: list[list[Row]] = []
        for event in reversed(events):
            lines = _event(event, width)
            if sum(len(part) for part in picked) + len(lines) > room:
                if not picked and room:
                    picked.append(lines[:room])
                break
            picked.append(lines)
        return rows + [row for part in picked for row in part]


def under_way(view: CompileView, snapshot: Snapshot, width: int) -> list[Row]:
    """The open phases, nested, with the time they have taken."""
    rows: list[Row] = []
    for depth, event in enumerate(view.under_way[:6]):
        elapsed = format_duration(max(0, snapshot.moment.at_ns - event.start_ns))
        name = event.name if depth else place(event, width - 14)
        rows.append(
            [
                ("  " * depth + ("⚙ " if not depth else "└ "), "strong warn"),
                (fit(name, max(1, width - 2 * depth - 14)), "strong"),
                (fit(elapsed, 11, "right"), "warn"),
            ]
        )
    return rows


def _event(event: CompileEvent, width: int) -> list[Row]:
    glyph, role = sign(event)
    word = event.kind.replace("_", " ")
    cost = format_duration(event.duration_ns) if event.duration_ns is not None else ""
    words = 12 if width >= 50 else 0
    room = max(4, width - 8 - 2 - words - 9)
    rows: list[Row] = [
        [
            (fit(format_time_of_run(event.start_ns), 7, "right") + " ", "dim"),
            (glyph + " ", role),
            (fit(word, words), role),
            (fit(place(event, room), room), "text"),
            (fit(cost, 9, "right"), "strong"),
        ]
    ]
    if event.reason:
        lines = wrap(event.reason, width - 10)[: 2 if width < 60 else 1]
        rows += [[(" " * 10, "text"), (fit(line, width - 10), "dim")] for line in lines]
    return rows


class CompileEvents(Table[CompileEvent]):
    """Every event, newest first."""

    SUBJECT = "compile"
    TITLE = "Events"
    SORT = "at"
    NEEDS = frozenset({"compile"})
    ABOUT = Compiles.ABOUT

    def awaited(self, snapshot: Snapshot) -> str | None:
        """As the small panel says."""
        return Compiles.awaited(self, snapshot)  # type: ignore[arg-type]

    def items(self, snapshot: Snapshot) -> Sequence[CompileEvent]:
        """Whole events; their phases are in the timeline."""
        if snapshot.compile is None:
            return ()
        return [event for event in snapshot.compile.events if event.kind != "phase"]

    def key_of(self, item: CompileEvent) -> str:
        """Its id."""
        return str(item.id)

    def text_of(self, item: CompileEvent) -> str:
        """What the filter looks at."""
        return " ".join(str(part) for part in (item.kind, item.function, item.file, item.reason))

    def columns(self, snapshot: Snapshot) -> Sequence[Column[CompileEvent]]:
        """When, what, where, why, how long."""

        def kind(event: CompileEvent) -> Span:
            glyph, role = sign(event)
            return f"{glyph} {event.kind.replace('_', ' ')}", role

        return (
            Column("at", "at", 8, lambda e: (format_time_of_run(e.start_ns), "dim"),
                   lambda e: e.start_ns),
            Column("kind", "kind", 14, kind, lambda e: e.kind, "left"),
            Column("id", "id", 7, lambda e: (e.compile_id or "", "dim"), None, "left", rank=4),
            Column("cost", "took", 9, lambda e: (format_duration(e.duration_ns), "strong"),
                   lambda e: e.duration_ns),
            Column("step", "step", 7, lambda e: (format_count(e.step_index), "text"),
                   lambda e: e.step_index, rank=3),
            Column("place", "function (file:line)", 32, lambda e: (place(e), "text"),
                   place, "left", rank=1),
            Column("reason", "reason", 0, lambda e: (e.reason or "", "dim"), None, "left",
                   least=14, rank=2),
        )  # fmt: skip


class CompileTree(Panel):
    """The phases of the selected compile as a tree of bars on one time axis."""

    SUBJECT = "compile"
    TITLE = "Timeline"
    NEEDS = frozenset({"compile"})
    ABOUT = "The phases inside the selected compile, nested, each bar at its place in time."

    def __init__(self, *, full: bool = True, id: str | None = None) -> None:
        super().__init__(full=full, id=id)
        self.item: CompileEvent | None = None

    def show(self, item: CompileEvent | None) -> None:
        """Another event."""
        self.item = item
        self.repaint()

    def body(self, snapshot: Snapshot, width: int, height: int) -> list[Row]:
        """The event in words, then its phases."""
        view, item = snapshot.compile, self.item
        if view is None or item is None:
            return []
        rows: list[Row] = [
            [(fit(place(item), width), "strong")],
            [(fit(f"{item.file or ''}{f':{item.line}' if item.line else ''}", width,
                  keep_end=True), "code")],
        ]  # fmt: skip
        if item.reason:
            rows += [[(line, "warn")] for line in wrap(item.reason, width)[:6]]
        rows.append([])
        whole = whole_of(view.events, item)
        length = lasted_ns(whole, snapshot)
        for depth, event in nested(view.events, whole):
            rows.append(_tree_row(depth, event, whole.start_ns, max(1, length), width, snapshot))
        return rows[:height]


def whole_of(events: Sequence[CompileEvent], item: CompileEvent) -> CompileEvent:
    """The compile that an event is about: itself, or the one of the same compile id."""
    if item.kind in WHOLE or item.compile_id is None:
        return item
    same = [
        event
        for event in events
        if event.kind in WHOLE
        and (event.process_id, event.compile_id) == (item.process_id, item.compile_id)
    ]
    return same[0] if same else item


def nested(events: Sequence[CompileEvent], root: CompileEvent) -> list[tuple[int, CompileEvent]]:
    """The event and what lies inside, depth first; a cycle in a damaged recording ends."""
    children: dict[str, list[CompileEvent]] = {}
    for event in events:
        if event.parent_key and event.process_id == root.process_id:
            children.setdefault(event.parent_key, []).append(event)
    found: list[tuple[int, CompileEvent]] = []
    seen: set[str] = set()
    stack = [(0, root)]
    while stack and len(found) < 500:
        depth, event = stack.pop()
        if event.key in seen:
            continue
        seen.add(event.key)
        found.append((depth, event))
        stack += [(depth + 1, child) for child in reversed(children.get(event.key, []))]
    return found


def lasted_ns(event: CompileEvent, snapshot: Snapshot) -> int:
    """How long it took, or has taken so far; 0 for what has no length."""
    if event.duration_ns is not None:
        return event.duration_ns
    if event.kind == "phase" or event.kind in WHOLE:
        return max(0, snapshot.moment.at_ns - event.start_ns)
    return 0


def _tree_row(
    depth: int, event: CompileEvent, start: int, span: int, width: int, snapshot: Snapshot
) -> Row:
    name_width = max(12, min(36, width // 2))
    columns = max(4, width - name_width - 11)
    length = lasted_ns(event, snapshot)
    left = max(0, min(columns - 1, (event.start_ns - start) * columns // span))
    cells = max(1, min(columns - left, length * columns // span))
    role = "warn" if event.duration_ns is None else "bar"
    took = format_duration(length) if length else format_duration(event.duration_ns)
    return [
        (fit("  " * min(depth, 8) + event.name, name_width), "text" if depth else "strong"),
        (fit(took, 10, "right") + " ", "strong" if event.duration_ns is not None else "warn"),
        (" " * left, "text"),
        ("█" * cells, role),
    ]
