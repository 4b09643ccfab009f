"""Operators' FLOPs against torch's own counter, on a real trace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fwtop.analysis.window import figures
from fwtop.traces.kineto import read

pytest.importorskip("torch", reason="these traces are taken by torch itself: pip install torch")
pytestmark = pytest.mark.torch
SCRIPT = Path(__file__).with_name("counted_flops.py")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_flops_are_those_of_torch_s_counter(tmp_path: Path, dtype: str) -> None:
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path), dtype], check=True)
    told = json.loads((tmp_path / "told.json").read_text())
    result = figures(read(tmp_path / "trace.json"), [])
    assert {row.dtype for row in result.operator_flops} == {dtype}
    attention = {row.name: row.flops for row in result.operator_flops if "attention" in row.name}
    forward, backward = sorted(attention.values())
    assert forward == told["attention"]
    assert backward == forward * 5 // 2  # five products of the same size for two
    whole = sum(row.flops for row in result.operator_flops)
    assert whole - forward - backward == told["counted"]
    assert whole == sum(row.flops or 0 for row in result.operators)
