"""Fixtures of the probe's tests."""

from __future__ import annotations

import pytest

from fwtop_profilers import tape
from fwtop_profilers.clock import NEVER_NS
from tests.profilers import step_script


@pytest.fixture(params=["at once", "late"])
def told(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretended scripts, with their rules run at each boundary, and with their rules run over all
    of them once somebody asks: what they find must be the same."""
    if request.param == "late":
        monkeypatch.setattr(step_script, "told_from_ns", lambda: NEVER_NS)
        monkeypatch.setattr(tape, "LATEST_NS", NEVER_NS // 2)
