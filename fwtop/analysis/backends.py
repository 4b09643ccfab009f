"""Which framework computes in a process that has imported several.

Owns the rule, which goes by what the probes tell of themselves (`Framework.hooks`) and knows no
framework's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from fwtop.recording.model import Framework


def backend_of(frameworks: Sequence[Framework]) -> str | None:
    """The one whose steps are counted; else the one that another names as its backend.

    A layer above others (`hooks["backend"]`) does not compute itself, and its backend may be one
    that no probe is for. Where nobody tells, the first that computes itself, by name.
    """
    for framework in frameworks:
        if framework.hooks.get("steps"):
            return framework.name
    for framework in frameworks:
        if backend := framework.hooks.get("backend"):
            return backend
    return frameworks[0].name if frameworks else None
