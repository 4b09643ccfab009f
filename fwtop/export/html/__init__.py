"""HTML: one report in one file, for any browser, without a network, on screen and on paper.

All that came from the run is escaped (`fwtop.export.html.markup`), and the page's policy forbids
every request, and every script and style but the two that fwtop wrote, by their hashes. Without
scripts all is there; with them tables sort and filter, and plots tell their figures.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Callable
from importlib.resources import files
from typing import BinaryIO

from fwtop import __version__
from fwtop.export.html import appendix, compile_part, machine, overview, step_plots, work
from fwtop.export.html.markup import Markup, content, el, name
from fwtop.export.html.report import Report
from fwtop.export.source import Source

_PARTS: tuple[tuple[str, str, Callable[[Report], Markup]], ...] = (
    ("findings", "Findings", overview.findings),
    ("steps", "Steps", step_plots.part),
    ("operators", "Operators", work.operators),
    ("input", "Input", work.input_pipeline),
    ("gpu-time", "GPU time", work.gpu_time),
    ("compile", "Compile", compile_part.part),
    ("gpus", "GPUs", machine.gpus),
    ("memory", "Memory", machine.allocators),
    ("host", "Host", machine.host_part),
    ("log", "Output", appendix.output),
    ("configuration", "Configuration", appendix.configuration),
)


def write(source: Source, out: BinaryIO) -> None:
    """The page into a file."""
    report = Report(source)
    made = []
    for number, (anchor, title, part) in enumerate(_PARTS):
        source.tell(f"report: {title}", number, len(_PARTS))
        made.append((anchor, title, part(report)))
    out.write(_page(report, made).encode("utf-8", "replace"))


def _page(report: Report, parts: list[tuple[str, str, Markup]]) -> str:
    style, script = _resource("report.css"), _resource("report.js")
    run = report.facts.run
    title = name(run.name) or name(shlex.join(run.command)) or name(run.id)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    links = (el("a", what, href=f"#{anchor}") for anchor, what, part in parts if part)
    body = content(
        overview.header(report),
        el("nav", links, el("button", "◐", type="button", id="theme", hidden=True,
                            aria_label="dark or light", title="dark or light")),
        el("main", (part for _, _, part in parts)),
        el("footer", f"Made by fwtop {__version__} from the recording of run {name(run.id)}."),
    )  # fmt: skip
    head = content(
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="generator", content=f"fwtop {__version__}"),
        el("link", rel="icon", href="data:,"),
        el("title", f"{title[:120]} – fwtop"),
        el("style", Markup(style)),
    )
    return (
        "<!DOCTYPE html>\n"
        + el("html", el("head", head), "\n", el("body", body, el("script", Markup(script))),
             lang="en")
        + "\n"
    )  # fmt: skip


def _resource(file: str) -> str:
    return files(__name__).joinpath(file).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
