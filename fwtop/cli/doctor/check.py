"""What one check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Something of fwtop will be missing or may go wrong."""
    PROBLEM = "problem"
    """A run cannot be recorded, or not in full."""


@dataclass(frozen=True)
class Check:
    """One line of the doctor's. `next` says what to do; `details` are for programs."""

    subject: str
    status: Status
    text: str
    next: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def ok(subject: str, text: str, next: str = "", **details: Any) -> Check:
    """It works."""
    return Check(subject, Status.OK, text, next, details)


def warning(subject: str, text: str, next: str, **details: Any) -> Check:
    """Something will be missing."""
    return Check(subject, Status.WARNING, text, next, details)


def problem(subject: str, text: str, next: str, **details: Any) -> Check:
    """A run cannot be recorded."""
    return Check(subject, Status.PROBLEM, text, next, details)
