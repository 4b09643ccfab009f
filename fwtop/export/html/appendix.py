"""The end of a report: the last of the output, what ran with which settings, what is missing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from fwtop.analysis import log_lines as library_lines
from fwtop.export.html.markup import Content, Markup, content, el, name, prose
from fwtop.export.html.report import Report, note, pairs, section, table
from fwtop.export.source import named
from fwtop.export.texts import LogLine, cleaned, log_lines
from fwtop.formatting import UNKNOWN, format_bytes, format_time_of_run, plural
from fwtop.queries import log, run

LOG_BYTES = 1 << 16
LOG_LINES = 400
MOST_PROCESSES = 256


def output(report: Report) -> Markup:
    """The last lines of the script's output."""
    recording = report.source.recording
    whole = log.size(recording)
    if not whole:
        return Markup("")
    chunks = log.chunks_before(recording, (1 << 62), LOG_BYTES)
    lines = list(log_lines(chunks))[-LOG_LINES:]
    rows = [_line(one) for one in lines]
    return section(
        "log", "Output",
        note(f"The last {plural(len(rows), 'line')} of {format_bytes(whole)}; progress bars as "
             "they were drawn last."),
        el("div", el("table", el("tbody", rows)), class_="log"),
    )  # fmt: skip


def _line(line: LogLine) -> Markup:
    found = library_lines.find(line.text)
    style = "library" if found is not None and not found.start else None
    if found is not None and found.level in ("error", "fatal"):
        style = "bad"
    stderr = el("td", "err" if line.stream == 2 else "", class_="stream")
    return el("tr", el("td", format_time_of_run(line.at_ns), class_="at"), stderr,
              el("td", line.text, class_=style))  # fmt: skip


def configuration(report: Report) -> Markup:
    """What ran, where, with what."""
    the_run, summary = report.facts.run, report.summary
    revision = the_run.git_revision
    rows: list[tuple[str, Content]] = [
        ("Command", el("code", name(shlex.join(the_run.command)))),
        ("Folder", el("code", name(the_run.cwd))),
        ("Host", name(the_run.host)),
        ("Recorded by", f"fwtop {name(the_run.fwtop_version)}"),
        ("From", name(the_run.source)),
    ]
    if revision:
        dirty = {True: ", with changes", False: "", None: ""}[the_run.git_dirty]
        rows.append(("Git revision", content(el("code", name(revision)), dirty)))
    for title, values in (
        ("Versions", the_run.versions),
        ("Environment", the_run.environment),
        ("Options", the_run.options),
    ):
        if values:
            rows.append((title, pairs([(name(key), _value(value)) for key, value in
                                       sorted(values.items())])))  # fmt: skip
    losses = summary.losses
    rows.append((
        "Lost",
        f"{plural(losses.messages_dropped, 'message')}, {plural(losses.windows_failed, 'window')}",
    ))  # fmt: skip
    return section("configuration", "Configuration", pairs(rows), _processes(report),
                   _notices(report))  # fmt: skip


def _value(value: Any) -> Markup:
    text = value if isinstance(value, str) else json.dumps(cleaned(value), ensure_ascii=False)
    return el("code", name(text))


def _processes(report: Report) -> Markup:
    hooks: dict[int, list[tuple[str, Mapping[str, str]]]] = {}
    for one in run.frameworks(report.source.recording):
        hooks.setdefault(one.process_id, []).append((f"{one.name} {one.version}", one.hooks))
    rows = []
    for process in report.source.processes[:MOST_PROCESSES]:
        told: list[Content] = [
            el("p", el("b", name(title)), " ", el("small", name("; ".join(
                f"{key}: {value}" for key, value in sorted(ways.items())))))
            for title, ways in hooks.get(process.id, ())
        ]  # fmt: skip
        rows.append(el(
            "tr", el("td", named(process)), el("td", str(process.pid or UNKNOWN)),
            el("td", name(process.python_version) or UNKNOWN),
            el("td", name(process.device) or UNKNOWN),
            el("td", name(process.step_source) or UNKNOWN), el("td", told or UNKNOWN),
        ))  # fmt: skip
    if not rows:
        return Markup("")
    heads = [("Process", False), ("Pid", False), ("Python", False), ("Device", False),
             ("Steps by", False), ("Frameworks and hooks", False)]  # fmt: skip
    return content(el("h3", "Processes"), table(heads, rows))


def _notices(report: Report) -> Markup:
    rows = [
        el("tr", el("td", format_time_of_run(one.at_ns), class_="n"), el("td", name(one.severity)),
           el("td", prose(one.text)), el("td", prose(one.next)))
        for one in report.facts.notices[-100:]
    ]  # fmt: skip
    if not rows:
        return Markup("")
    heads = [("At", True), ("Severity", False), ("What fwtop had to say", False), ("Next", False)]
    return content(el("h3", "Notices"), table(heads, rows))
