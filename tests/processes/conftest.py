"""What the tests of whole processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.live import LiveRun


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Callable[..., LiveRun]]:
    """Makes live runs that end with the test."""
    made: list[LiveRun] = []

    def make(*options: str, **named: Any) -> LiveRun:
        made.append(LiveRun(tmp_path, *options, **named))
        return made[-1]

    yield make
    for run in made:
        run.clean()
