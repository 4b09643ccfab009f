"""The configuration in force, and where each value came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from fwtop.cli.diagnostics import Failure
from fwtop.cli.doctor.check import Check, ok, problem
from fwtop.cli.options import configuration_files, settle


def settings(python: str | None) -> Iterator[Check]:
    """What `fwtop train.py` would use here."""
    try:
        files = [str(path) for path in configuration_files(os.environ, Path.cwd())]
        settled = settle()
    except Failure as failure:
        yield problem("configuration", str(failure), failure.next)
        return
    changed = {
        key: f"{value} ({settled.sources[key]})"
        for key, value in settled.values.items()
        if settled.sources[key] != "default"
    }
    text = ", ".join(f"{key} = {value}" for key, value in changed.items()) or "all defaults"
    yield ok(
        "configuration",
        f"{text}; files: {', '.join(files) or 'none'}",
        values={key: _plain(value) for key, value in settled.values.items()},
        sources=dict(settled.sources),
    )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
