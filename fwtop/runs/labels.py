"""Names and tags: what they may be, and changing those of a run, live or finished."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fwtop import control
from fwtop.recording.labels import write_labels
from fwtop.runs.listed import ListedRun
from fwtop.runs.liveness import has_recorder

MAX_LENGTH = 100
MAX_TAGS = 50


class LabelError(Exception):
    """A name or tag that cannot be one; the text says why."""


def label(run: ListedRun, name: str | None, tags: Iterable[str]) -> None:
    """Set a run's name and tags, for good.

    The recorder of a live run is asked, because it is the one that writes; where there is none, the
    file is changed. Raises LabelError, RecordingError or ControlError.
    """
    name = None if not name else checked(name, "name")
    wanted = list(dict.fromkeys(checked(tag, "tag") for tag in tags))
    if len(wanted) > MAX_TAGS:
        raise LabelError(f"{len(wanted)} tags: a run has at most {MAX_TAGS}")
    folder = run.folder
    if run.live and folder is not None and has_recorder(folder):
        control.ask(folder.control_socket, control.Label(name, tuple(wanted)))
    else:
        write_labels(Path(run.path), name, wanted)


def checked(text: str, what: str) -> str:
    """The text without space around it. Raises LabelError for what a list could not show."""
    text = text.strip()
    if not text:
        raise LabelError(f"a {what} needs a letter at least")
    if len(text) > MAX_LENGTH:
        raise LabelError(f"a {what} of {len(text)} letters: at most {MAX_LENGTH}")
    if not text.isprintable():
        raise LabelError(f"a {what} cannot hold control characters")
    return text
