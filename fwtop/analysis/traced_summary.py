"""What of a summary the traced steps tell beside operators: the input pipeline, and memory."""

from __future__ import annotations

from fwtop.analysis.finders.facts import Facts
from fwtop.analysis.input_stages import waits
from fwtop.analysis.summary_model import (
    InputPipelineSummary,
    InputStageSummary,
    PeakHolderSummary,
)

MOST_HOLDERS = 20
"""Of a device that a summary lists; the recording has more."""


def input_pipeline(facts: Facts) -> InputPipelineSummary:
    """The stages, per traced step, outer before inner."""
    per = max(1, facts.steps_traced)
    blame = waits(facts.input_stages)
    return InputPipelineSummary(
        tuple(
            InputStageSummary(
                path=stage.path,
                calls=round(stage.calls / per, 3),
                self_ns=round(stage.self_ns / per, 1),
                total_ns=round(stage.total_ns / per, 1),
                wait_ns=round(blame.get(stage.path, 0) / per, 1),
            )
            for stage in facts.input_stages
        )
    )


def peak_holders(facts: Facts) -> tuple[PeakHolderSummary, ...]:
    """By device, most first."""
    return tuple(
        PeakHolderSummary(peak.device, holder.operator, holder.bytes)
        for peak, holders in facts.window_memory
        for holder in holders[:MOST_HOLDERS]
    )
