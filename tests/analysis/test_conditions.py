"""The grammar of `--fail-on`: what it takes, and where it says that something is wrong."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fwtop.analysis import finders
from fwtop.analysis.comparison.conditions import Condition, ConditionError, parse
from fwtop.analysis.comparison.metrics import FINDINGS, METRICS, WORK


@pytest.mark.parametrize(
    ("text", "subject", "comparator", "kind", "bound"),
    [
        ("step_time > +5%", "step_time", ">", "relative", 0.05),
        ("step_time>+5%", "step_time", ">", "relative", 0.05),
        ("  throughput < -5 % ", "throughput", "<", "relative", -0.05),
        ("step_time.p95 >= 120ms", "step_time.p95", ">=", "absolute", 120e6),
        ("step_time.p95 > 1.5 s", "step_time.p95", ">", "absolute", 1.5e9),
        ("memory.peak > +512MiB", "memory.peak", ">", "delta", 512 * 2**20),
        ("memory.peak > 4e3MB", "memory.peak", ">", "absolute", 4e9),
        ("compile.recompiles > 0", "compile.recompiles", ">", "absolute", 0),
        ("compile.recompiles > +0", "compile.recompiles", ">", "delta", 0),
        ("phase[backward] > +5%", "phase[backward]", ">", "relative", 0.05),
        ("gpu.utilization <= 90%", "gpu.utilization", "<=", "absolute", 0.9),
        ("gpu.utilization < -0.05", "gpu.utilization", "<", "delta", -0.05),
        ("gpu[1].power > 300W", "gpu[1].power", ">", "absolute", 300),
        ("gpu.temperature > 80 °C", "gpu.temperature", ">", "absolute", 80),
        ("findings > +0", "findings", ">", "delta", 0),
        ("throughput.samples < 1k", "throughput.samples", "<", "absolute", 1000),
        ("step_time > 0", "step_time", ">", "absolute", 0),
    ],
)
def test_a_condition_is_what_it_says(
    text: str, subject: str, comparator: str, kind: str, bound: float
) -> None:
    condition = parse(text)
    assert (condition.metric.subject, condition.comparator, condition.kind) == (
        subject, comparator, kind,
    )  # fmt: skip
    assert condition.bound == pytest.approx(bound)
    assert condition.text == text.strip()


@pytest.mark.parametrize(
    ("text", "argument", "attribute", "device"),
    [
        ("operator[aten::addmm].self > +10%", "aten::addmm", "self", None),
        ("operator[aten::addmm] > +10%", "aten::addmm", "self", None),
        ("operator[ aten::mm ].gpu.total > 1ms", "aten::mm", "total", "gpu"),
        ("operator[aten::mm].cpu > 1ms", "aten::mm", "self", "cpu"),
        ("family[matmul].self > +3ms", "matmul", "self", None),
        ("family[matmul].calls > 3", "matmul", "calls", None),
        ("kernel[void f<int [3]>(float*)].total > 1us", "void f<int [3]>(float*)", "total", None),
        ('kernel["void f[0"] > 1us', "void f[0", "total", None),
        (r'operator["a \"b\" ]"].self > 1us', 'a "b" ]', "self", None),
        ("operator[a > +5%].self > +5%", "a > +5%", "self", None),
        ("findings[input_bound] > 0", "input_bound", "", None),
    ],
)
def test_an_argument_holds_any_name(
    text: str, argument: str, attribute: str, device: str | None
) -> None:
    metric = parse(text).metric
    assert (metric.argument, metric.attribute, metric.device) == (argument, attribute, device)


@pytest.mark.parametrize(
    ("text", "at", "says", "next"),
    [
        ("", "", "begins with a metric", "step_time"),
        ("stp_time > +5%", "stp_time", "no metric stp_time", "step_time"),
        ("step_time.p59 > +5%", "step_time.p59", "no metric", "step_time.p95"),
        ("step_time +5%", "+5%", "comparator", ">="),
        ("step_time == 5ms", "== 5ms", "means nothing", ""),
        ("step_time >> 5ms", "> 5ms", "number is missing", "+5%"),
        ("step_time > fast", "fast", "number is missing", "+5%"),
        ("step_time > 120", "", "needs a unit", "5ms"),
        ("step_time > 5%", "%", "no share", "+5%"),
        ("step_time > 5MiB", "MiB", "not in MiB", "5ms"),
        ("step_time > +5m", "m", "not in m", "5ms"),
        ("memory.peak > +512M", "M", "not in M", "512MiB"),
        ("step_time > +5% 3", "3", "may follow", ""),
        ("step_time > +5% and steps > 3", "and steps > 3", "may follow", ""),
        ("operator > +5%", " > +5%", "name in brackets", "operator[NAME]"),
        ("operator[] > +5%", "[] > +5%", "name in brackets", "operator[NAME]"),
        ("operator[aten::mm > +5%", "[aten::mm > +5%", "not closed", ""),
        ("operator[aten::mm].slef > +5%", "slef > +5%", "no slef", "self"),
        ("operator[aten::mm].self.gpu > 1", "gpu > 1", "no gpu", ""),
        ("kernel[k].self > 1ms", "self > 1ms", "no self", "total"),
        ("phase[backwards] > +5%", "[backwards] > +5%", "one of the phases", "backward"),
        ("phase > +5%", " > +5%", "one of the phases", "forward"),
        ("steps[3] > 1", "[3] > 1", "takes nothing", ""),
        ("gpu[a].power > 1", "[a].power > 1", "number of a GPU", ""),
        ("step_time. > 1", "> 1", "name is missing", ""),
        ("step_time > 1e999ms", "1e999ms", "too large", ""),
        ("steps > +5$", "$", "may follow|means nothing", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, at: str, says: str, next: str) -> None:
    with pytest.raises(ConditionError, match=says) as caught:
        parse(text)
    assert text[caught.value.place :].startswith(at)
    assert at or caught.value.place == len(text)
    assert next in caught.value.next


def parsed(text: str) -> Condition | ConditionError:
    try:
        return parse(text)
    except ConditionError as error:
        return error


pieces = st.sampled_from(
    [*METRICS, *WORK, *"[].+-<>=% ", ">=", "phase", "ms", "MiB", "5", "1e3", ".5", "aten::mm", '"',
     "\\", "gpu", "self", "\n", "é", "٣"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(pieces, max_size=12).map("".join)))
@example("gpu[²].power > 1W")
@example("operator[" * 300)
@example("x" * 5000)
def test_any_text_is_a_condition_or_an_error_with_a_place(text: str) -> None:
    condition = parsed(text)
    if isinstance(condition, ConditionError):
        assert 0 <= condition.place <= len(text)
        assert str(condition)
    else:
        assert condition.kind in ("relative", "delta", "absolute")
        assert condition.text == text.strip()
        assert parse(condition.text).bound == condition.bound


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)


@given(names, st.sampled_from(["self", "total", "calls"]))
def test_quoted_any_name_comes_back(name: str, attribute: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'operator["{quoted}"].{attribute} > +5%').metric.argument == name


@given(st.sampled_from(sorted(METRICS)), st.floats(-1e6, 1e6).map(lambda v: round(v, 3)))
def test_every_metric_takes_a_relative_bound(metric: str, percent: float) -> None:
    condition = parse(f"{metric} > {percent:+.3f}%")
    assert condition.bound == pytest.approx(percent / 100)


def test_the_codes_of_findings_are_those_that_finders_use() -> None:
    """A code that is not listed cannot be told from one that is misspelt."""
    used = set()
    for path in Path(finders.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "code":
                used |= {
                    leaf.value for leaf in ast.walk(node.value)
                    if isinstance(leaf, ast.Constant) and len(str(leaf.value)) > 2
                }  # fmt: skip
    assert used <= set(FINDINGS), "add it to fwtop.analysis.comparison.metrics.FINDINGS"
    assert len(used) > 20
