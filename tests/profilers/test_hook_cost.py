"""The hooks' own cost: what lies between them is left out of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fwtop_profilers import hook_cost
from fwtop_profilers.hook_cost import ROUNDS, Work


def test_the_median_of_a_call_without_the_work_between(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    hooks_ns = iter([5_000, 900, 100, 120, 110, 8_000, 130, 90])
    monkeypatch.setattr(hook_cost, "now_ns", lambda: now[0])
    monkeypatch.setattr(hook_cost, "bytearray", lambda cold: now.__setitem__(0, now[0] + 10**6),
                        raising=False)  # fmt: skip
    steps: list[None] = []

    def rehearsal(work: Work) -> Callable[[], None]:
        def step() -> None:
            now[0] += next(hooks_ns) // 2
            work()
            now[0] += 10
            steps.append(None)

        return step

    assert hook_cost.calibrate(rehearsal, 2) == (120 // 2 + 10) // 2
    assert len(steps) == ROUNDS + 1
