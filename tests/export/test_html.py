"""The report: what is in it, that nothing of a run runs in it, and what a browser makes of it."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fwtop.export import html
from fwtop.recording.store import open_recording
from fwtop.summary import summarize
from tests.export import chromium
from tests.export.rich import FORMULA, HOSTILE, exported
from tests.recordings import build

VOID = {"br", "col", "input", "link", "meta"}


class Parsed(HTMLParser):
    """A page as a tree's events: strict about ends, unlike a browser."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.inside:
            self.inside[self.open[-1]][-1] += data
        else:
            self.text.append(data)


@pytest.fixture(scope="module")
def page(rich: Path) -> str:
    return exported(html.write, rich).decode()


@pytest.fixture(scope="module")
def parsed(page: str) -> Parsed:
    return Parsed(page)


def test_every_element_ends_and_every_part_is_there(parsed: Parsed) -> None:
    anchors = [attributes.get("id") for tag, attributes in parsed.elements if tag == "section"]
    assert anchors == ["findings", "steps", "operators", "input", "gpu-time", "compile", "gpus",
                       "memory", "host", "log", "configuration"]  # fmt: skip
    links = [a["href"] for tag, a in parsed.elements if tag == "a"]
    assert links == [f"#{anchor}" for anchor in anchors]


def test_no_request_and_nothing_that_runs_but_the_one_script(parsed: Parsed) -> None:
    for tag, attributes in parsed.elements:
        assert tag not in ("iframe", "object", "embed", "img", "form", "base", "audio", "video")
        assert not any(name.startswith("on") for name in attributes)
        assert "style" not in attributes  # the policy forbids it, so it would do nothing
        for name in ("href", "src", "action", "xlink:href", "data", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,"
    assert "url(" not in parsed.inside["style"][0]
    assert "@import" not in parsed.inside["style"][0]
    kinds = [a.get("type") for tag, a in parsed.elements if tag == "script"]
    assert kinds.count(None) == 1
    assert set(kinds) == {None, "application/json"}


def test_the_policy_names_the_style_and_the_script_by_their_hashes(parsed: Parsed) -> None:
    (policy,) = [
        a["content"] for tag, a in parsed.elements
        if a.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    (style,) = parsed.inside["style"]
    for kind, text in (("style", style), ("script", parsed.inside["script"][-1])):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_names_of_the_run_are_text(page: str, parsed: Parsed) -> None:
    shown = "".join(parsed.text)
    assert "<img src=x onerror=document.title=1337>" in shown
    assert FORMULA in shown
    assert "<img" not in page.replace("&lt;img", "").replace("\\u003cimg", "")
    assert "\x1b" not in page


def test_the_summary_s_figures_are_on_it(rich: Path, parsed: Parsed) -> None:
    with open_recording(rich) as recording:
        summary = summarize(recording)
    shown = "".join(parsed.text)
    for finding in summary.findings:
        assert finding.why in shown
        assert finding.next in shown
    assert "301" in shown
    assert summary.kernels.rows[0].name in shown
    codes = sum(tag == "code" for tag, _ in parsed.elements)
    assert codes > len(summary.operators.rows)


def test_plots_carry_their_figures(parsed: Parsed) -> None:
    figures = [json.loads(text) for text in parsed.inside["script"][:-1]]
    assert len(figures) > 10
    for one in figures:
        starts, ends = one["x"]
        assert len(starts) == len(ends) > 0
        assert starts == sorted(starts)
        assert all(len(series["values"]) == len(starts) for series in one["series"])
    steps = figures[0]
    assert [series["name"] for series in steps["series"]] == [
        "input", "h2d", "forward", "backward", "optimizer", "other",
    ]  # fmt: skip
    assert len(steps["x"][0]) == 301


@pytest.mark.parametrize(
    ("steps", "changes"),
    [(0, {"windows": 0, "compiles": 0}), (1, {"windows": 0}), (40, {"gpus": 0, "host": False}),
     (2000, {"log": False})],
)  # fmt: skip
def test_what_is_not_known_is_left_out(
    tmp_path: Path, steps: int, changes: dict[str, object]
) -> None:
    path = build(tmp_path / "run.fwtop", steps=steps, **changes)
    parsed = Parsed(exported(html.write, path).decode())
    anchors = {a.get("id") for tag, a in parsed.elements if tag == "section"}
    assert {"findings", "steps", "configuration"} <= anchors
    assert ("gpus" in anchors) == (changes.get("gpus") != 0)
    assert ("log" in anchors) == bool(steps and changes.get("log", True))
    assert not re.search(r"\b(nan|inf|None)\b", "".join(parsed.text))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    program = chromium.found()
    if program is None:
        pytest.skip(f"no Chromium on PATH (looked for {', '.join(chromium.NAMES)})")
    with chromium.page(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def test_a_browser_runs_it_without_a_request_or_a_complaint(
    browser: chromium.Page, report: Path
) -> None:
    browser.open(report)
    assert browser.js("document.querySelectorAll('section').length") == 11
    assert browser.js("document.getElementById('theme').hidden") is False  # our script ran
    assert browser.js("document.title").endswith("– fwtop")  # and no other
    assert browser.js("document.images.length") == 0
    urls = {one["request"]["url"] for one in browser.told("Network.requestWillBeSent")}
    assert {url for url in urls if not url.startswith("data:")} == {report.as_uri()}
    assert browser.told("Log.entryAdded") == []
    assert browser.told("Runtime.exceptionThrown") == []
    style = "getComputedStyle(document.querySelector('.tile')).borderTopWidth"
    assert browser.js(style) == "1px"  # the style sheet was let through


def test_in_a_browser_tables_sort_filter_and_open(browser: chromium.Page, report: Path) -> None:
    browser.open(report)
    table = "document.querySelector('#operators .explorer')"
    shown = f"[...{table}.querySelectorAll('tbody tr')].filter((row) => !row.hidden)"
    whole = browser.js(f"{table}.querySelectorAll('tbody tr').length")
    assert browser.js(f"{shown}.length") == 25 < whole
    browser.js(f"{table}.querySelectorAll('th button')[7].click()")
    calls = browser.js(f"{shown}.map((row) => Number(row.cells[7].dataset.v))")
    assert calls == sorted(calls, reverse=True)
    browser.js(f"{table}.querySelectorAll('th button')[0].click()")
    names = f"{shown}.map((row) => row.cells[0].textContent)"
    assert browser.js(f"{names}.every((n, i, all) => !i || all[i - 1].localeCompare(n) <= 0)")
    browser.js(f"{table}.querySelector('.all').click()")
    assert browser.js(f"{shown}.length") == whole
    browser.js(
        f"{{ const field = {table}.querySelector('input'); field.value = 'batch_norm gpu';"
        " field.dispatchEvent(new Event('input')); }"
    )
    assert sorted(browser.js(names)) == [
        "aten::cudnn_batch_norm",
        "aten::cudnn_batch_norm_backward",
    ]
    assert browser.js(f"{table}.querySelector('.count').textContent").startswith("2 of ")


def test_in_a_browser_a_plot_tells_the_step_under_the_pointer(
    browser: chromium.Page, report: Path
) -> None:
    browser.open(report)
    browser.js("document.querySelector('#steps .plot svg').scrollIntoView()")
    box = browser.js(
        "(() => { const box = document.querySelector('#steps .plot svg').getBoundingClientRect();"
        " return [box.left + box.width / 2, box.top + box.height / 2]; })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    readout = browser.js("document.querySelector('#steps output').textContent")
    assert re.match(r"0:00:\d\d\.\d · input \d", readout)
    assert "backward" in readout


@pytest.mark.parametrize("width", [1280, 400])
def test_in_a_browser_no_part_is_wider_than_the_screen(
    browser: chromium.Page, report: Path, width: int
) -> None:
    browser.open(report, width=width)
    assert browser.js("document.documentElement.scrollWidth") <= width


def test_in_a_browser_the_theme_follows_the_system_and_the_button(
    browser: chromium.Page, report: Path
) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip
        browser.open(report)
        before = browser.js(ground)
        assert before == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 22, 27)")
        browser.js("document.getElementById('theme').click()")
        assert browser.js(ground) != before


def test_hostile_is_hostile() -> None:
    """What the tests above prove rests on it."""
    assert "</script>" in HOSTILE
    assert "onerror=" in HOSTILE
    assert os.linesep in HOSTILE
