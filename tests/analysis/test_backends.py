from __future__ import annotations

import pytest

from fwtop.analysis.backends import backend_of
from fwtop.recording.model import Framework

STEPS = {"steps": "optimizer"}


def framework(name: str, **hooks: str) -> Framework:
    return Framework(1, name, "1.0", {"windows": "plain", **hooks})


@pytest.mark.parametrize(
    ("frameworks", "backend"),
    [
        ([], None),
        ([framework("b")], "b"),
        ([framework("a"), framework("b")], "a"),
        ([framework("a"), framework("b", **STEPS)], "b"),
        ([framework("a", backend="b"), framework("b")], "b"),
        ([framework("a", backend="c"), framework("b")], "c"),
        ([framework("a", backend="b"), framework("b"), framework("c", **STEPS)], "c"),
        ([framework("a", backend=""), framework("b", steps="")], "a"),
    ],
)
def test_who_computes(frameworks: list[Framework], backend: str | None) -> None:
    assert backend_of(frameworks) == backend
