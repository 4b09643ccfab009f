"""Conditions on a comparison, as `--fail-on` takes them: from text to what is to be judged.

    condition   metric comparator bound
    metric      name [ "[" argument "]" ] { "." name }     step_time.p95, operator[aten::mm].self
    comparator  > | >= | < | <=
    bound       [ + | - ] number [ unit ]

The bound's form says what is judged: with a sign and `%`, the change relative to the baseline
(`> +5%`); with a sign and a unit, the change itself (`> +512MiB`); without a sign, the run's own
figure (`> 120ms`). An argument may hold any characters: brackets that pair up need no quotes,
others do (`kernel["void f[0"].total`). Knows no figure; `judgement` judges.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

from fwtop.analysis.comparison.metrics import DEVICES, METRICS, NAMED, WORK
from fwtop.recording.model import PHASES
from fwtop.recording.window_model import STEP_CLASSES

LONGEST = 4_000
"""Characters of a condition; a C++ kernel's name takes some hundreds."""

COMPARATORS = (">=", "<=", ">", "<")
_SCALES = {
    "ns": {
        "ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9, "h": 3600e9,
    },
    "bytes": {
        "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
        "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40,
    },
    "watts": {"W": 1.0, "": 1.0},
    "celsius": {"C": 1.0, "°C": 1.0, "": 1.0},
    "ratio": {"%": 0.01, "": 1.0},
    "count": {"": 1.0, "k": 1e3, "M": 1e6},
    "per_s": {"": 1.0, "/s": 1.0, "k": 1e3, "M": 1e6},
    "flops": {"": 1.0, "FLOP": 1.0, "MFLOP": 1e6, "GFLOP": 1e9, "TFLOP": 1e12, "PFLOP": 1e15},
    "flops_per_s": {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15},
}  # fmt: skip
_EXAMPLES = {
    "ns": "5ms", "bytes": "512MiB", "watts": "300W", "celsius": "80C", "ratio": "90%",
    "count": "3", "per_s": "1000", "flops": "12TFLOP", "flops_per_s": "30T",
}  # fmt: skip
ONE_OF = {"phase": ("phases", PHASES), "step_class": ("classes", STEP_CLASSES)}
"""What may stand in the brackets, where that is known: what they are, and which."""
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<comparator>>=|<=|>|<)|(?P<mark>[][.+-])|(?P<end>$)|"
    r"(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?))"
)
_UNIT = re.compile(r"\s*([^\W\d_]+|°C|%|/s)?")


class ConditionError(ValueError):
    """A condition that means nothing: what is wrong, and where."""

    def __init__(self, text: str, place: int, message: str, next: str = "") -> None:
        super().__init__(message)
        self.text = text
        self.place = place
        """Offset in `text` of what is wrong, in characters."""
        self.next = next


@dataclass(frozen=True)
class Metric:
    """What is judged."""

    text: str
    """As it was written, without blanks around it."""
    subject: str
    """`operator`, `family`, `kernel`, `findings` with an argument; else the figure's whole name."""
    argument: str | None
    attribute: str
    """`self`, `total` or `calls` of work; else empty."""
    device: str | None
    unit: str


@dataclass(frozen=True)
class Condition:
    """A metric must not be as this says."""

    text: str
    metric: Metric
    comparator: str
    kind: str
    """`relative` (a ratio), `delta` or `absolute` (in the metric's unit)."""
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a value is what must not be."""
        if self.comparator == ">":
            return value > self.bound
        if self.comparator == ">=":
            return value >= self.bound
        return value < self.bound if self.comparator == "<" else value <= self.bound


def parse(text: str) -> Condition:
    """A condition from its text. Raises ConditionError, and nothing else."""
    if len(text) > LONGEST:
        raise ConditionError(text, LONGEST, f"a condition is at most {LONGEST} characters long")
    return _Parser(text).condition()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def condition(self) -> Condition:
        metric = self._metric()
        comparator = self._comparator()
        kind, bound = self._bound(metric)
        kind_of_rest, rest, start = self._token()
        if kind_of_rest != "end":
            raise self._error(start, f"nothing may follow the bound, and here is {rest!r}")
        return Condition(self._text.strip(), metric, comparator, kind, bound)

    def _metric(self) -> Metric:
        kind, name, start = self._token()
        if kind != "name":
            raise self._error(
                start,
                "a condition begins with a metric",
                "as in `step_time > +5%`; `fwtop compare --help` lists the metrics",
            )
        argument: str | None = None
        argument_start = self._at
        if self._mark("["):
            argument = self._argument()
        names: list[tuple[str, int]] = []
        while self._mark("."):
            kind, part, part_start = self._token()
            if kind != "name":
                raise self._error(part_start, "a name is missing after the dot")
            names.append((part, part_start))
        written = self._text[start : self._at].strip()
        if name in WORK:
            return self._work(written, name, argument, argument_start, names)
        return self._figure(written, name, argument, (start, argument_start), names)

    def _argument(self) -> str:
        """What stands in brackets, which have been opened."""
        start = self._at
        quoted = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*\]').match(self._text, start)
        if quoted:
            self._at = quoted.end()
            return re.sub(r"\\(.)", r"\1", quoted[1])
        depth = 1
        for place in range(start, len(self._text)):
            depth += {"[": 1, "]": -1}.get(self._text[place], 0)
            if not depth:
                self._at = place + 1
                return self._text[start:place].strip()
        raise self._error(start - 1, "this bracket is not closed")

    def _work(
        self, written: str, name: str, argument: str | None, place: int,
        names: list[tuple[str, int]],
    ) -> Metric:  # fmt: skip
        if not argument:
            raise self._error(
                place, f"{name} needs a name in brackets", f"as in `{name}[NAME].self > +10%`"
            )
        device = None
        if names and names[0][0] in DEVICES and name != "kernel":
            device = names.pop(0)[0]
        units = WORK[name]
        if not names:
            attribute = next(iter(units))
        else:
            (attribute, start), *more = names
            if attribute not in units:
                raise self._error(start, f"{name} has no {attribute}", _known(attribute, units))
            if more:
                raise self._error(more[0][1], f"{attribute} has no {more[0][0]}")
        return Metric(written, name, argument, attribute, device, units[attribute])

    def _figure(
        self, written: str, name: str, argument: str | None, places: tuple[int, int],
        names: list[tuple[str, int]],
    ) -> Metric:  # fmt: skip
        start, argument_start = places
        whole = ".".join((name, *(part for part, _ in names)))
        if name in NAMED:
            return self._named(written, name, argument, argument_start, names)
        if whole not in METRICS:
            near = _known(
                whole,
                [*METRICS, *(f"{work}[NAME].self" for work in WORK),
                 *(f"{name}[NAME]" for name in NAMED)],
            )  # fmt: skip
            raise self._error(start, f"there is no metric {whole}", near)
        unit = METRICS[whole][0]
        if argument is None:
            return Metric(written, whole, None, "", None, unit)
        if whole == "findings":
            return Metric(written, whole, argument, "", None, unit)
        if name == "gpu" and argument.isdecimal() and len(argument) < 5:
            return Metric(written, f"gpu[{int(argument)}].{names[0][0]}", None, "", None, unit)
        needs = "the number of a GPU" if name == "gpu" else "nothing"
        raise self._error(argument_start, f"{name} takes {needs} in brackets")

    def _named(
        self, written: str, name: str, argument: str | None, place: int,
        names: list[tuple[str, int]],
    ) -> Metric:  # fmt: skip
        unit, example, _ = NAMED[name]
        among = ONE_OF.get(name)
        if among is not None and argument not in among[1]:
            needed = f"{name} needs one of the {among[0]}"
            raise self._error(place, needed, _known(argument or "", among[1]))
        if not argument:
            raise self._error(
                place, f"{name} needs a name in brackets", f"as in `{name}[{example}] > +10%`"
            )
        if names:
            raise self._error(names[0][1], f"{name}[{argument}] has no {names[0][0]}")
        return Metric(written, f"{name}[{argument}]", None, "", None, unit)

    def _comparator(self) -> str:
        kind, text, start = self._token()
        if kind != "comparator":
            raise self._error(
                start, "a comparator is missing here", f"one of {' '.join(COMPARATORS)}"
            )
        return text

    def _bound(self, metric: Metric) -> tuple[str, float]:
        sign = 0
        kind, text, start = self._token()
        if kind == "mark" and text in "+-":
            sign = 1 if text == "+" else -1
            kind, text, start = self._token()
        if kind != "number":
            raise self._error(
                start, "a number is missing here", f"as in +5% or {_EXAMPLES[metric.unit]}"
            )
        value = float(text) * (sign or 1)
        if not isfinite(value):
            raise self._error(start, "this number is too large")
        found = _UNIT.match(self._text, self._at)
        unit = (found[1] or "") if found else ""
        unit_start = found.start(1) if found and found[1] else self._at
        self._at = found.end() if found else self._at
        if sign and unit == "%":
            return "relative", value / 100
        scales = _SCALES[metric.unit]
        if unit not in scales and not (unit == "" and value == 0):
            raise self._misfit(metric, unit, unit_start, text)
        return ("delta" if sign else "absolute"), value * scales.get(unit, 1.0)

    def _misfit(self, metric: Metric, unit: str, place: int, number: str) -> ConditionError:
        if unit == "%":
            return self._error(
                place, f"{metric.text} is no share", f"a change of it has a sign: +{number}%"
            )
        said = f"{metric.text} is not in {unit}" if unit else f"{metric.text} needs a unit"
        return self._error(place, said, f"as in {_EXAMPLES[metric.unit]} or +5%")

    def _mark(self, mark: str) -> bool:
        """Take a mark, if it is the next thing."""
        before = self._at
        kind, text, _ = self._token(strict=False)
        if kind == "mark" and text == mark:
            return True
        self._at = before
        return False

    def _token(self, strict: bool = True) -> tuple[str, str, int]:
        """The next token's kind, text and place; it is taken."""
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            place = len(self._text) - len(self._text[self._at :].lstrip())
            if strict:
                raise self._error(place, f"{self._text[place]!r} means nothing here")
            return "none", "", place
        self._at = found.end()
        kind = str(found.lastgroup)
        return kind, found[kind], found.start(kind)

    def _error(self, place: int, message: str, next: str = "") -> ConditionError:
        return ConditionError(self._text, min(place, len(self._text)), message, next)


def _known(word: str, among: Iterable[str]) -> str:
    names = list(among)
    near = get_close_matches(word[:100], names, 3, 0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if len(names) < 10:
        return f"there is {', '.join(names)}"
    return "`fwtop compare --help` lists the metrics"
