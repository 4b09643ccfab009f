"""The Markdown page: what it says, and that names make no markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fwtop.export import markdown
from fwtop.recording.store import open_recording
from fwtop.summary import summarize
from tests.export.rich import exported
from tests.recordings import build


@pytest.fixture(scope="module")
def page(rich: Path) -> str:
    return exported(markdown.write, rich).decode()


def test_it_says_what_the_summary_says(rich: Path, page: str) -> None:
    with open_recording(rich) as recording:
        summary = summarize(recording)
    assert "**301 steps**" in page
    for title in ("Findings", "Phases of a step", "Operators", "GPU in the traced", "Compile",
                  "GPUs"):  # fmt: skip
        assert f"#### {title}" in page
    assert len(re.findall("^- ", page, re.MULTILINE)) == len(summary.findings)
    assert "`aten::convolution_backward`" in page


def test_each_row_of_a_table_has_the_columns_of_its_head(page: str) -> None:
    columns = 0
    rows = 0
    for line in page.splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line)) - 1
        columns = columns or cells
        assert cells == columns, line
        rows += 1
    assert rows > 30


def test_nothing_of_the_run_is_markup(page: str) -> None:
    without_code = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", page)
    assert "<img" not in without_code
    assert re.findall(r"<(?!br>|sub>|/sub>)", without_code) == []
    assert "\x1b" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "`plain`"),
        ("a|b", "`a\\|b`"),
        ("with `ticks` in", "``with `ticks` in``"),
        ("`at the ends`", "`` `at the ends` ``"),
        ("two\nlines", "`two lines`"),
        ("", "` `"),
    ],
)
def test_code(text: str, shown: str) -> None:
    assert markdown.code(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* _it_ `code`", "\\*bold\\* \\_it\\_ \\`code\\`"),
        ("[a](http://b)", "\\[a\\](http:\u200b//b)"),
        ("<b>&amp;", "&lt;b>&amp;amp;"),
        ("@team, see #12", "@\u200bteam, see \\#12"),
        ("a|b", "a\\|b"),
    ],
)
def test_words(text: str, shown: str) -> None:
    assert markdown.words(text) == shown


def test_a_run_of_which_little_is_known_is_a_short_page(tmp_path: Path) -> None:
    path = build(tmp_path / "run.fwtop", steps=0, windows=0, compiles=0, gpus=0, host=False)
    page = exported(markdown.write, path).decode()
    assert "####" in page
    assert "None" not in page
    assert "|" not in page
