"""`fwtop compare` as a command: streams, exit statuses, forms, and what it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fwtop.formatting import cell_width
from tests.cli.commands import Place
from tests.recordings import MS, Builder, Spec, build
from tests.shared_traces import DIFF_CONTROL, DIFF_TEST, shared_trace


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A run, and one that is 20 % slower."""
    folder = tmp_path_factory.mktemp("runs")
    return (
        str(build(folder / "base.fwtop", steps=400)),
        str(build(folder / "slow.fwtop", steps=400, seed=8, step_ns=120 * MS, compiles=3)),
    )


def test_words_on_stdout_and_nothing_on_stderr(place: Place, runs: tuple[str, str]) -> None:
    done = place.fwtop("compare", *runs)
    assert (done.status, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert re.search(r"slow is 19\.\d % slower than base \(95 % CI|slow is 20\.\d % slower", text)
    for part in ("step time", "phases, mean a step", "compile", "memory", "GPUs", "host",
                 "aten::convolution_backward", "went|came|stayed"):  # fmt: skip
        assert re.search(part, text), part


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_words_fit_the_terminal_and_hold_no_controls(place: Place, columns: int) -> None:
    command = ("train 数据.py", "\x1b[31mred", "--note", "long " * 40)
    one = build(place.folder / "one.fwtop", steps=60, command=command)
    two = build(place.folder / "two.fwtop", steps=60, seed=2, processes=2, command=(*command, "-x"))
    paths = [str(one), str(two), str(one)]
    done = place.fwtop("compare", *paths, env={"COLUMNS": str(columns)})
    lines = done.stdout.decode().splitlines()
    assert max(map(cell_width, lines)) <= columns
    assert all(line.isprintable() for line in lines)


def test_json_of_a_file_whose_name_is_no_utf_8(place: Place, runs: tuple[str, str]) -> None:
    odd = Path(runs[1]).with_name("b\udcff.fwtop")
    shutil.copy(runs[1], odd)
    done = place.fwtop("compare", runs[0], str(odd), "--json")
    assert [run["label"] for run in done.said["runs"]] == ["base", "b?"]


def test_json_is_the_contract(place: Place, runs: tuple[str, str]) -> None:
    done = place.fwtop("compare", *runs, "--json")
    body = done.said
    assert done.stdout.count(b"\n") == 1
    assert list(body) == [
        "schema_version", "runs", "verdicts", "notes", "configuration", "steps", "figures",
        "families", "findings", "coverage",
    ]  # fmt: skip
    assert body["schema_version"] == 1
    assert [run["label"] for run in body["runs"]] == ["base", "slow"]
    assert list(body["verdicts"][1]) == [
        "direction", "per", "ratio", "interval", "p_value", "text", "covers",
    ]  # fmt: skip
    assert body["verdicts"][1]["covers"] == "within_runs"
    assert "repeats" in body["coverage"]
    (repeat,) = body["runs"][0]["repeats"]
    assert list(repeat) == [
        "path", "id", "started_unix_ns", "state", "exit_status", "steady_count", "median_ns",
        "steps_traced",
    ]  # fmt: skip
    assert body["verdicts"][0] is None
    assert list(body["figures"][0]) == [
        "metric", "section", "label", "unit", "better", "values", "changes",
    ]  # fmt: skip
    assert list(body["figures"][0]["changes"][1]) == [
        "delta", "ratio", "interval", "p_value", "noise", "unsure",
    ]  # fmt: skip
    family = body["families"][0]
    assert list(family) == ["family", "device", "sides", "changes", "operators", "kernels"]
    assert list(family["operators"][0]) == [
        "name", "family", "device", "sides", "changes", "details",
    ]  # fmt: skip
    assert list(family["sides"][0]) == ["calls", "self_ns", "total_ns", "spread_ns"]
    assert list(family["changes"][1]) == [
        "delta_ns", "ratio", "status", "p_value", "noise", "calls_delta", "step_share",
    ]  # fmt: skip
    assert list(body["steps"][0]) == [
        "count", "steady_count", "sampled_count", "blocks", "independent_blocks", "drifting",
        "mean_ns", "median_ns", "p95_ns", "median_interval_ns", "first_ns", "traced_count",
        "traced_mean_ns", "compiled_count", "compiled_ns",
    ]  # fmt: skip


def test_markdown_is_whole_and_takes_no_orders(place: Place) -> None:
    one = build(place.folder / "one.fwtop", steps=100)
    builder = Builder(
        place.folder / "a|b`<script>.fwtop",
        Spec(seed=2, steps=100, command=("train.py", "</details><img src=x>", "| a | b |")),
    )
    builder.add_everything()
    builder.insert("operator_names", name="<b>@all</b>|x\n# y", family="matmul")
    builder.insert(
        "operator_stats", window_id=3, operator_id=builder._name_id("<b>@all</b>|x\n# y", "matmul"),
        phase="forward", device="gpu", calls=1, self_ns=10**12, total_ns=10**12,
    )  # fmt: skip
    done = place.fwtop("compare", str(one), str(builder.finish()), "--markdown")
    text = done.stdout.decode()
    assert done.status == 0
    tags = set(re.findall(r"(?<!\\)<[^>]*>", text))
    assert tags <= {"<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>"}
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table
    assert len(text.splitlines()) < 120, "a comment is to be read"


@pytest.mark.parametrize(
    ("conditions", "status", "lines"),
    [
        (["step_time > +50%"], 0, 0),
        (["step_time > +5%"], 1, 1),
        (["step_time > +5%", "compile.recompiles > 0", "throughput > -90%"], 1, 3),
        (["step_time > +5%", "findings[nothing] > 0"], 1, 2),
    ],
)
def test_the_gate(
    place: Place, runs: tuple[str, str], conditions: list[str], status: int, lines: int
) -> None:
    words = [word for text in conditions for word in ("--fail-on", text)]
    for form in ("--json", "--markdown", "--text"):
        done = place.fwtop("compare", *runs, form, *words)
        assert done.status == status
        assert done.stdout, "the comparison is printed all the same"
        said = done.stderr.decode().splitlines()
        assert len(said) == lines
        assert all(line.startswith("fwtop: failed: ") for line in said)


def test_the_same_run_fails_no_relative_condition(place: Place, runs: tuple[str, str]) -> None:
    again = str(build(place.folder / "again.fwtop", steps=400, seed=77))
    done = place.fwtop(
        "compare", runs[0], again, "--fail-on", "step_time > +0%", "--fail-on", "step_time < +0%",
        "--fail-on", "operator[aten::addmm] > -90%", "--fail-on", "throughput < +99%",
    )  # fmt: skip
    assert (done.status, done.stderr) == (0, b"")
    assert b"noise   step_time" in done.stdout


def test_a_condition_that_means_nothing_is_shown_with_its_place(
    place: Place, runs: tuple[str, str]
) -> None:
    done = place.fwtop(
        "compare", *runs, "--fail-on", "step_time > +5%", "--fail-on", "step_tme > +5%",
        "--fail-on", "step_time > 5",
    )  # fmt: skip
    assert (done.status, done.stdout) == (2, b"")
    said = done.stderr.decode().splitlines()
    assert said[0] == "fwtop: --fail-on: there is no metric step_tme"
    assert said[1].index("step_tme") == said[2].index("^")
    assert "did you mean step_time" in said[3]
    assert said[5].index("5") + 1 == said[6].index("^")


def test_a_condition_is_judged_in_each_run(place: Place, runs: tuple[str, str]) -> None:
    done = place.fwtop("compare", runs[0], runs[0], runs[1], "--fail-on", "step_time > +5%")
    assert done.status == 1
    (line,) = done.stderr.decode().splitlines()
    assert "slow has" in line


def test_repeats_are_named_after_vs(place: Place, runs: tuple[str, str]) -> None:
    """In every form, what the intervals cover; and the sides are as they were named."""
    base = [runs[0], str(build(place.folder / "base-2.fwtop", steps=400, seed=5))]
    slow = [
        runs[1],
        *(str(build(place.folder / f"slow-{n}.fwtop", steps=400, seed=n, step_ns=118 * MS))
          for n in (2, 3)),
    ]  # fmt: skip
    words = ("compare", *base, "--vs", *slow)
    body = place.fwtop(*words, "--json").said
    assert [[repeat["path"] for repeat in run["repeats"]] for run in body["runs"]] == [base, slow]
    assert [run["label"] for run in body["runs"]] == ["base ×2", "slow ×3"]
    assert body["verdicts"][1]["covers"] == "between_runs"
    assert body["verdicts"][1]["direction"] == "slower"
    for form in ("--text", "--markdown"):
        told = " ".join(place.fwtop(*words, form).stdout.decode().split())
        assert "the interval covers the spread between runs: base ×2, slow ×3" in told
        single = place.fwtop("compare", *runs, form).stdout.decode()
        assert "within the runs only" in " ".join(single.split())
    gate = place.fwtop(*words, "--json", "--fail-on", "step_time > +5%")
    assert gate.status == 1
    three = place.fwtop("compare", base[0], "--vs", slow[0], "--vs", *slow[1:], "--json").said
    assert [len(run["repeats"]) for run in three["runs"]] == [1, 1, 2]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ([], 101, "none is named"),
        (["--vs", "base"], 101, "named before --vs"),
        (["base", "--vs", *["base"] * 64], 101, "65 runs on 2 sides"),
        (["base", *["--vs", "base"] * 16], 101, "17 sides"),
        (["base", "--vs"], 101, "expected at least one argument"),
        (["base", "--vs", "absent.fwtop"], 104, "no such file"),
        (["base"], 101, "two runs or more"),
        (["base"] * 17, 101, "side by side"),
        (["base", "absent.fwtop"], 104, "no such file"),
        (["base", "20991231"], 104, "no run of that id"),
        (["base", "text.fwtop"], 104, "not a recording"),
        (["base", "slow", "--json", "--markdown"], 101, "not allowed with"),
    ],
)
def test_what_cannot_be_compared_is_said(
    place: Place, runs: tuple[str, str], words: list[str], status: int, says: str
) -> None:
    (place.folder / "text.fwtop").write_text("hello")
    known = {"base": runs[0], "slow": runs[1]}
    done = place.fwtop("compare", *(known.get(word, word) for word in words))
    assert done.status == status
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_truncated_recordings_are_errors_or_comparisons(
    place: Place, runs: tuple[str, str]
) -> None:
    whole = Path(runs[1]).read_bytes()
    cut = place.folder / "cut.fwtop"
    for share in (0.02, 0.2, 0.5, 0.9, 0.99):
        cut.write_bytes(whole[: int(len(whole) * share)])
        for words in ((runs[0], str(cut)), (str(cut), runs[0])):
            done = place.fwtop("compare", *words)
            assert done.status in (0, 104)
            assert b"Traceback" not in done.stderr
            assert bool(done.stdout) == (done.status == 0)


def test_a_live_run_is_compared_as_it_is(place: Place, runs: tuple[str, str]) -> None:
    live = build(place.folder / "live.fwtop", steps=200, state="running")
    done = place.fwtop("compare", runs[0], str(live))
    assert done.status == 0
    assert b"live has not ended" in done.stdout


def test_traces_are_runs(place: Place) -> None:
    done = place.fwtop("compare", *(str(shared_trace(name)) for name in (DIFF_CONTROL, DIFF_TEST)),
                       "--json")  # fmt: skip
    assert done.status == 0
    body = done.said
    assert [run["label"] for run in body["runs"]] == ["kineto-diff-control", "kineto-diff-test"]
    assert body["runs"][0]["path"].endswith(DIFF_CONTROL)
    statuses = {
        row["changes"][1]["status"] for family in body["families"] for row in family["kernels"]
    }
    assert statuses >= {"added", "deleted", "increased", "decreased"}
    values = {figure["metric"]: figure["values"] for figure in body["figures"]}
    # HolisticTraceAnalysis counts 7,875 launches in control's five steps without the last one.
    assert values["kernels.launches"][0] == 7875 / 5
    assert all(None not in values[metric] for metric in (
        "kernels.sm_efficiency", "kernels.occupancy", "kernels.tensor_cores", "kernels.queue_max",
        "step_class[kernel]", "step_class[communication]",
    ))  # fmt: skip
    assert values["mfu"][1] is None, "a compiled graph tells no FLOPs"
    assert "flops" not in values or values["flops"][1] is None


def test_the_help_names_every_metric(place: Place) -> None:
    from fwtop.analysis.comparison.metrics import METRICS, NAMED

    text = place.fwtop("compare", "--help").stdout.decode()
    assert all(re.search(rf"^  {re.escape(name)} ", text, re.MULTILINE) for name in METRICS)
    assert all(re.search(rf"^  {name}\[", text, re.MULTILINE) for name in NAMED)
    assert "operator[NAME].self" in text


def test_importing_the_command_is_cheap() -> None:
    code = (
        "import sys, fwtop.cli.compare, fwtop.cli.compare_markdown, fwtop.cli.compare_text;"
        "print([m for m in ('textual', 'rich', 'numpy', 'torch', 'pyte') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
