"""Where the shared traces lie: beside the project's folder, never in it.

Where one is missing, a test of it fails under CI and is skipped with the reason elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "traces"
RESNET50 = "kineto-resnet50-v100-workers0.json.gz"
DIFF_CONTROL = "kineto-diff-control.json.gz"
DIFF_TEST = "kineto-diff-test.json.gz"
NCCL = "kineto-nccl.json.gz"
BERT_XPLANE = "xplane-bert-gpu4.xplane.pb"


def shared_trace(name: str) -> Path:
    """The path of a shared trace; fails or skips the test where it is missing."""
    path = FOLDER / name
    if not path.is_file():
        reason = f"the shared trace {name} is not at ../shared/traces"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path
