"""A process's place in a TF_CONFIG cluster, as MultiWorkerMirroredStrategy numbers it."""

from __future__ import annotations

import json
import os
from typing import Mapping, Optional

from fwtop_profilers import wire

_TRAINING = ("chief", "worker")
"""The kinds of task that train, in the order of their ranks."""


def from_tf_config(environ: Mapping[str, str] = os.environ) -> Optional[wire.Rank]:
    """The rank, or None where TF_CONFIG names no task that trains or cannot be read."""
    try:
        told = json.loads(environ.get("TF_CONFIG", "") or "{}")
        cluster, task = told["cluster"], told["task"]
        sizes = {kind: len(cluster.get(kind, ())) for kind in _TRAINING}
        kind, index = task["type"], int(task["index"])
        if kind not in sizes:
            return None
        rank = index + (sizes["chief"] if kind == "worker" else 0)
        return wire.Rank(rank, None, sum(sizes.values()))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
