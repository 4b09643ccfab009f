"""The input pipeline's stages, summed over windows."""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.queries.rows import fetch_rows, id_list
from fwtop.recording.store import Recording
from fwtop.recording.window_model import InputStageRow


def input_stages(recording: Recording, window_ids: Sequence[int]) -> list[InputStageRow]:
    """The stages of some windows by path, in order of the paths, so that the inner follow."""
    return fetch_rows(
        recording,
        InputStageRow,
        "SELECT path, sum(calls), sum(self_ns), sum(total_ns) FROM input_stages"
        " WHERE window_id IN (SELECT value FROM json_each(?1)) GROUP BY path ORDER BY path",
        (id_list(window_ids),),
    )
