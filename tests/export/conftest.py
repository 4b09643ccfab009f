from __future__ import annotations

from pathlib import Path

import pytest

from tests.export.rich import build


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that nobody changes: see `tests.export.rich`."""
    return build(tmp_path_factory.mktemp("export") / "rich.fwtop")
