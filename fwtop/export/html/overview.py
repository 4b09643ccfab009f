"""The top of a report: what ran, the key figures, and what is wrong."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from fwtop.export.html.markup import Markup, content, el, name, prose, word
from fwtop.export.html.report import Report, note, section
from fwtop.formatting import (
    format_bytes,
    format_count,
    format_duration,
    format_flops_per_s,
    format_moment,
    format_rate,
    format_ratio,
    plural,
)

_SIGNS = {"error": "✖", "warning": "▲", "info": "●"}


def header(report: Report) -> Markup:
    """Title, state and figures."""
    run = report.facts.run
    frameworks = ", ".join(
        f"{name(one.name)} {name(one.version)}" for one in report.summary.run.frameworks
    )
    facts = [
        el("code", name(run.id)),
        name(run.host),
        format_moment(run.started_unix_ns),
        frameworks or None,
        *(el("span", name(tag), class_="tag") for tag in run.tags),
    ]
    return el(
        "header",
        el("p", "fwtop", class_="brand"),
        el("h1", name(run.name) or name(shlex.join(run.command)) or name(run.id)),
        el("p", name(shlex.join(run.command)), class_="command") if run.name else None,
        el("p", _state(report), ((" · ", fact) for fact in facts if fact), class_="facts"),
        el("div", list(_tiles(report)), class_="tiles"),
    )


def _state(report: Report) -> Markup:
    run = report.facts.run
    if run.exit_signal is not None:
        return el("span", f"ended by signal {run.exit_signal}", class_="state bad")
    if run.exit_status:
        return el("span", f"failed with status {run.exit_status}", class_="state bad")
    good = run.state == "finished"
    return el("span", name(run.state), class_="state good" if good else "state warn")


def _tiles(report: Report) -> Iterator[Markup]:
    facts, summary = report.facts, report.summary
    steps = facts.steps
    yield _tile("Duration", format_duration(facts.duration_ns), None)
    yield _tile("Steps", format_count(steps.count), _world(report))
    yield _tile("Median step", format_duration(steps.median_ns),
                f"p95 {format_duration(steps.p95_ns)}")  # fmt: skip
    yield _tile("Throughput", format_rate(steps.steps_per_s, "steps"),
                None if steps.samples_per_s is None
                else format_rate(steps.samples_per_s, "samples"))  # fmt: skip
    used = [one for one in facts.used_devices or facts.devices if one.id in facts.device_means]
    known = [facts.device_means[one.id].utilization_ratio for one in used]
    ratios = [ratio for ratio in known if ratio is not None]
    if ratios:
        yield _tile("GPU utilisation", format_ratio(sum(ratios) / len(ratios)),
                    plural(len(ratios), "GPU"))  # fmt: skip
    if summary.flops.mfu_ratio is not None:
        yield _tile("MFU", format_ratio(summary.flops.mfu_ratio),
                    f"of {format_flops_per_s(summary.flops.peak_flops_per_s)}")  # fmt: skip
    peak = summary.memory.allocated_peak_bytes
    if peak is not None:
        yield _tile("Memory allocated", format_bytes(peak), "at most, on one device")
    elif summary.host.rss_bytes is not None:
        yield _tile("Memory of the run", format_bytes(summary.host.rss_bytes), "on the host")
    if facts.compile.count:
        yield _tile("Compile", format_duration(facts.compile.total_ns),
                    plural(facts.compile.count, "compile"))  # fmt: skip
    if summary.overhead.budget_ratio is not None:
        yield _tile("Cost of watching", format_ratio(summary.overhead.measured_ratio),
                f"of a budget of {format_ratio(summary.overhead.budget_ratio)}")  # fmt: skip


def _world(report: Report) -> str | None:
    size = report.summary.run.world_size
    several = sum(bool(one.steps) for one in report.summary.processes)
    if size is not None:
        return f"world size {size}"
    return f"in {several} processes" if several > 1 else None


def _tile(title: str, value: str, remark: str | None) -> Markup:
    return el(
        "div", el("p", title, class_="title"), el("p", value, class_="value"),
        el("p", remark, class_="remark") if remark else None, class_="tile",
    )  # fmt: skip


def findings(report: Report) -> Markup:
    """What is wrong, why, and what to do: the gravest first."""
    found = report.summary.findings
    if not found:
        return section("findings", "Findings", note("Nothing that the figures bear out."))
    items = (
        el(
            "li",
            el("span", _SIGNS.get(one.severity, "●"), class_="sign", aria_hidden="true"),
            el(
                "div",
                el("p", el("b", name(one.severity)), " ", el("span", prose(one.why))),
                el("p", "→ ", prose(one.next), class_="next") if one.next else None,
            ),
            class_=f"finding {word(one.severity, _SIGNS)}",
        )
        for one in found
    )
    return section("findings", "Findings", content(el("ul", items, class_="findings")))
