from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Place
from tests.cli.commands import place as make_place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with make_place(tmp_path) as made:
        yield made
