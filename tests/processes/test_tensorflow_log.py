"""TensorFlow's own log: passed through as it was written, and by the user's own settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fwtop.analysis.log_lines import find
from fwtop.queries import log
from fwtop.recording.store import open_recording
from tests.processes.both_ways import SCRIPTS, both_ways

pytestmark = pytest.mark.tensorflow
SCRIPT = str(SCRIPTS / "tensorflow_logs.py")


def timeless(stderr: bytes) -> list[str]:
    """Lines without what differs from run to run: times and process ids."""
    return [re.sub(r"[\d:.]{7,}|(?<= )\d+ (?=\w+\.cc)", "…", line) for line in
            stderr.decode().splitlines()]  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "of_information", "of_warnings"),
    [
        ({}, True, True),
        ({"TF_CPP_MIN_LOG_LEVEL": "1"}, False, True),
        ({"TF_CPP_MIN_LOG_LEVEL": "2"}, False, False),
    ],
)
def test_it_is_what_the_user_has_set(
    tmp_path: Path, variables: dict[str, str], of_information: bool, of_warnings: bool
) -> None:
    """fwtop sets none of TensorFlow's variables, prints nothing and hides nothing."""
    plain, recorded = both_ways(tmp_path, [SCRIPT], options=["-q"], variables=variables)
    assert (plain.status, recorded.status) == (0, 0), recorded.stderr.decode()
    assert recorded.stdout == plain.stdout
    assert recorded.said == variables
    assert timeless(recorded.stderr) == timeless(plain.stderr)
    lines = recorded.stderr.decode().splitlines()
    assert any("cpu_feature_guard.cc" in line for line in lines) == of_information
    assert any("local_rendezvous.cc" in line for line in lines) == of_warnings
    assert lines
    assert all(map(find, lines)), "every line of this run is TensorFlow's"
    assert stored(recorded.path) == recorded.stderr


def stored(path: Path) -> bytes:
    with open_recording(path) as recording:
        chunks: list[Any] = log.chunks(recording, limit=100_000)
    return b"".join(chunk.data for chunk in chunks if chunk.stream == 2)
