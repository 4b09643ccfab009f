"""The rank, once the script has joined a process group.

Asked about once a second on the sender's thread; nothing is patched, and nothing of
`torch.distributed` is imported that the script has not imported.
"""

from __future__ import annotations

import os
import sys
from typing import Optional

from fwtop_profilers import ranks, wire


class Group:
    """What was last told of the process's place."""

    def __init__(self) -> None:
        self._told = ranks.from_environment(os.environ)

    def news(self) -> Optional[wire.Rank]:
        """The place, if it is known now and was not told before."""
        distributed = sys.modules.get("torch.distributed")
        if distributed is None or not distributed.is_available():
            return None
        if not distributed.is_initialized():
            return None
        local = os.environ.get("LOCAL_RANK", "")
        place = ranks.Place(
            distributed.get_rank(),
            int(local) if local.isdigit() else self._told.local_rank,
            distributed.get_world_size(),
        )
        if place == self._told:
            return None
        self._told = place
        return wire.Rank(*place)
