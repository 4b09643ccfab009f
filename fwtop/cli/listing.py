"""What a word on the command line means: a recording's file, or a run at hand."""

from __future__ import annotations

import os
from pathlib import Path

from fwtop.cli.diagnostics import Code, Failure
from fwtop.cli.options import state_folder
from fwtop.recording.store import SUFFIX
from fwtop.runs.listed import ListedRun, all_runs, listed


def at_hand() -> list[ListedRun]:
    """Live runs and the recordings of the state folder, newest first."""
    return all_runs(state_folder())


def find(word: str) -> Path:
    """The recording that a command's argument means: a file, or a run by its id, its start or name.

    Raises Failure if there is none, or several.
    """
    if _is_file(word):
        return Path(word)
    return Path(find_run(word).path)


def find_run(word: str) -> ListedRun:
    """The same as a run, with what is known of it; the file may be unreadable. Raises Failure."""
    if _is_file(word):
        path = Path(word)
        if not path.exists():
            raise _nothing(word)
        return next((one for one in at_hand() if _same(one.path, path)), listed(path, None))
    runs = at_hand()
    for matching in (
        [one for one in runs if one.id == word],
        [one for one in runs if one.id.startswith(word)],
        [one for one in runs if one.name == word],
    ):
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise _several(word, matching)
    raise _nothing(word)


def _is_file(word: str) -> bool:
    return Path(word).exists() or os.sep in word or word.endswith(SUFFIX)


def _same(one: str, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)  # noqa: PTH121 - takes both kinds
    except OSError:
        return False


def _several(word: str, matching: list[ListedRun]) -> Failure:
    if matching[0].id.startswith(word):
        text = f"{word} is the start of {len(matching)} runs"
        if len({one.id for one in matching}) == 1:
            return Failure(
                Code.NO_RUN,
                f"{len(matching)} files hold the run {matching[0].id}",
                f"name one of them: {', '.join(one.path for one in matching[:3])}",
            )
    else:
        text = f"{len(matching)} runs have the name {word}"
    return Failure(
        Code.NO_RUN, text, f"write more of it: {', '.join(one.id for one in matching[:5])}"
    )


def _nothing(word: str) -> Failure:
    return Failure(
        Code.RECORDING,
        f"{word}: no such file, and no run of that id or name",
        "`fwtop ls` lists the recordings at hand",
    )
