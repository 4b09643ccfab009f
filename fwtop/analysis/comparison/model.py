"""The shape of a Comparison: what `fwtop compare --json` prints, field by field.

A contract: an added field, figure or metric is fine, any other change raises `SCHEMA_VERSION`.
Unknown is None, in JSON null. `fwtop.comparison` says what each figure is of.

The first run is the baseline. A tuple that is *one a run* has the runs' order, the baseline's
first; in a tuple of changes the baseline's own place is None, and so is that of a run where one of
the two figures is not known. Where a side of the comparison was run several times, one run here
stands for all of its repeats: its figures are means over them.
"""

from __future__ import annotations

from dataclasses import dataclass

from fwtop.analysis.summary_model import FrameworkSummary

SCHEMA_VERSION = 1

SECTIONS = (
    "steps",
    "phases",
    "throughput",
    "compile",
    "memory",
    "kernels",
    "classes",
    "input",
    "devices",
    "host",
)
"""Of `Comparison.figures`, in the order in which views show them."""
UNITS = ("ns", "bytes", "ratio", "count", "per_s", "watts", "celsius", "flops", "flops_per_s")
"""Of a figure's values; a `ratio` is 0..1."""


@dataclass(frozen=True)
class Repeat:
    """One run of a side."""

    path: str
    id: str
    started_unix_ns: int
    state: str
    exit_status: int | None
    steady_count: int
    """Steps without the first, the traced and the compiled."""
    median_ns: float | None
    """The median of its steady steps."""
    steps_traced: int


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs, as a column's head and its explanation; with repeats, of the first one."""

    label: str
    """Short and different from the other runs': its name, its file's name, or its id; what the
    repeats' have in common, and how many there are."""
    path: str
    id: str
    name: str | None
    tags: tuple[str, ...]
    command: tuple[str, ...]
    host: str
    started_unix_ns: int
    duration_ns: int | None
    exit_status: int | None
    state: str
    """`starting`, `running`, `finishing`, `finished`, `lost`."""
    source: str
    """`live`, or the format that it was imported from."""
    frameworks: tuple[FrameworkSummary, ...]
    devices: tuple[str, ...]
    """Names of the GPUs that the run uses; empty for the CPU alone."""
    world_size: int | None
    git_revision: str | None
    git_dirty: bool | None
    step_source: str | None
    """What bounds a step: `optimizer`, `forward` …"""
    samples_per_step: float | None
    windows: int
    """Trace windows that the operators come from, of all repeats."""
    steps_traced: int
    repeats: tuple[Repeat, ...]
    """The runs of this side: one, or several."""


@dataclass(frozen=True)
class ConfigurationDifference:
    """Something that the runs were given or found, and that is not the same in all of them."""

    section: str
    """`command`, `environment`, `versions`, `devices`, `git`, `options`, `run`."""
    what: str
    values: tuple[str | None, ...]
    """One a run; None where the run does not have it."""


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """A figure of a run against the baseline's."""

    delta: float
    """In the figure's unit: the run's less the baseline's."""
    ratio: float | None
    """Of the baseline's: 0.05 is 5 % more; None where that is 0."""
    interval: Interval | None
    """Of `ratio`; None where nothing tells how far the figure varies."""
    p_value: float | None
    """Of a rank test (the median step) or a t test."""
    noise: bool | None
    """True: cannot be told from noise. None: nothing says."""
    unsure: str | None
    """Why nothing says: `too few steps`, `too few runs`, `steps drift`, `read once a run`."""


@dataclass(frozen=True)
class ComparedFigure:
    """One figure in every run."""

    metric: str
    """As `--fail-on` names it: `step_time.p95`, `memory.peak`, `phase[backward]`."""
    section: str
    """One of `SECTIONS`."""
    label: str
    unit: str
    """One of `UNITS`."""
    better: str
    """`lower`, `higher` or `neither`."""
    values: tuple[float | None, ...]
    """One a run."""
    changes: tuple[Change | None, ...]
    """One a run."""


@dataclass(frozen=True)
class StepTimes:
    """The steps of one run's lead process, and what its statistics rest on.

    Of repeats, counts are sums, and times means over the runs.
    """

    count: int
    """All of them."""
    steady_count: int
    """Of those, without the first, the traced and the compiled."""
    sampled_count: int
    """Of the steady ones, spread evenly: what median, p95 and intervals are of."""
    blocks: int
    """Stretches of consecutive steps that are resampled as wholes; 0 where steps are too few."""
    independent_blocks: float
    """What the blocks are worth, given how much each is like the one before."""
    drifting: bool
    """Whether even the longest blocks are alike their neighbours: the run has no steady level."""
    mean_ns: float | None
    median_ns: float | None
    p95_ns: float | None
    median_interval_ns: Interval | None
    first_ns: int | None
    """The warm-up: the process's first step."""
    traced_count: int
    traced_mean_ns: float | None
    compiled_count: int
    compiled_ns: int
    """Time in the steps in which something was compiled, besides the first."""


@dataclass(frozen=True)
class Verdict:
    """Whether a run is slower or faster than the baseline, in plain words."""

    direction: str
    """`slower`, `faster`, `noise`, or `unknown` where there are too few steps or runs to tell."""
    per: str
    """`step`, or `sample` where the runs' steps are of different sizes."""
    ratio: float | None
    """Of the median time a step or sample: 0.05 is 5 % slower."""
    interval: Interval | None
    p_value: float | None
    text: str
    covers: str | None
    """What the interval is of: `within_runs`, where both sides are one run and nothing tells how
    far runs of the same program differ; `between_runs`; None without an interval."""


@dataclass(frozen=True)
class OperatorSide:
    """What an operator, kernel, shape or family came to in one run, per traced step."""

    calls: float
    self_ns: float
    """Of a kernel, and of a family of them: its whole time."""
    total_ns: float | None
    """With what it called; None for a family, where it would count twice."""
    spread_ns: float | None
    """Standard deviation of self time a step between trace windows; None below two of them."""


@dataclass(frozen=True)
class OperatorChange:
    """The same against the baseline, of self time."""

    delta_ns: float
    ratio: float | None
    """Of the baseline's; None where it was not there."""
    status: str
    """`added`, `deleted`, `increased`, `decreased`, or `unchanged` (by less than 1 %)."""
    p_value: float | None
    """Of a t test over the windows, each row by itself."""
    noise: bool | None
    """True: within what trace windows differ by anyway, or with repeats, what runs do. None: fewer
    than four windows to say."""
    calls_delta: float
    """Calls a traced step: the run's less the baseline's."""
    step_share: float | None
    """Of the change of the mean step; on several threads or a GPU the shares need not add up to 1.
    None where the step's change is noise."""


@dataclass(frozen=True)
class ComparedDetail:
    """An operator by input shape, module or source line, from deep windows."""

    kind: str
    """`shape`, `module` or `source`."""
    value: str
    sides: tuple[OperatorSide | None, ...]
    changes: tuple[OperatorChange | None, ...]


@dataclass(frozen=True)
class ComparedOperator:
    """An operator on one device, over all phases."""

    name: str
    family: str
    device: str
    """`cpu`, `gpu`: where the time was spent."""
    sides: tuple[OperatorSide | None, ...]
    """One a run; None where it did not run."""
    changes: tuple[OperatorChange | None, ...]
    details: tuple[ComparedDetail, ...]
    """Only where the baseline and another run have deep windows."""


@dataclass(frozen=True)
class ComparedKernel:
    """A device kernel, copy or fill, over all streams."""

    name: str
    family: str
    sides: tuple[OperatorSide | None, ...]
    changes: tuple[OperatorChange | None, ...]


@dataclass(frozen=True)
class ComparedFamily:
    """A family on one device, its operators and, on the device, its kernels: most change first.

    A trace does not say which operator a kernel belongs to once windows are summed, so kernels
    hang from the family.
    """

    family: str
    device: str
    sides: tuple[OperatorSide | None, ...]
    changes: tuple[OperatorChange | None, ...]
    operators: tuple[ComparedOperator, ...]
    kernels: tuple[ComparedKernel, ...]


@dataclass(frozen=True)
class ComparedFinding:
    """A finding and which of the runs have it."""

    code: str
    severity: str
    """The gravest that it has in any run."""
    status: str
    """`came`, `went`, `stayed`; with several runs beside the baseline, `varies` where they differ.
    """
    whys: tuple[str | None, ...]
    """One a run; None where the run does not have it."""
    next: str


@dataclass(frozen=True)
class Comparison:
    """Two or more runs. The fields and their order are the JSON contract."""

    schema_version: int
    runs: tuple[ComparedRun, ...]
    verdicts: tuple[Verdict | None, ...]
    """One a run; the baseline's is None."""
    notes: tuple[str, ...]
    """What makes the runs hard to compare, or figures missing, in words."""
    configuration: tuple[ConfigurationDifference, ...]
    """Differences only."""
    steps: tuple[StepTimes, ...]
    """One a run."""
    figures: tuple[ComparedFigure, ...]
    """By section; figures that no run knows are left out."""
    families: tuple[ComparedFamily, ...]
    """Most change first; of several runs, that of the one which changed most."""
    findings: tuple[ComparedFinding, ...]
    """Those that came first, then went, then stayed; the gravest first."""
    coverage: str
    """What the intervals cover, in words: the spread within the runs only, or between runs too."""
