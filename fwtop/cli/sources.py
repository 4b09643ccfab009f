"""What a command's words mean as a run: a recording, a run's id, or traces of other tools.

Traces become a temporary recording, which is gone when the command ends, so that every command
takes them as it takes a recording.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fwtop.cli.diagnostics import Code, Failure, unwritable_state_folder
from fwtop.cli.endings import ended_by_signals, held_back
from fwtop.cli.listing import find
from fwtop.recording.store import SUFFIX
from fwtop.traces.formats import RECORDING, detect

WHAT = "a recording, a run's id, or traces: Kineto (.json, .json.gz), *.xplane.pb, TORCH_TRACE"
"""For the help of commands that take these."""


@contextmanager
def opened(words: Sequence[str], quiet: bool = False, keep_bytes: int = 0) -> Iterator[Path]:
    """The path of one run's recording, as long as the context lasts.

    One word may be a recording or the id of a run. Any number may be traces, or folders of traces:
    they are of one run. Raw traces are kept in it up to `keep_bytes`. Raises Failure,
    RecordingError or TraceError.
    """
    paths = [find(word) for word in words]
    if len(paths) == 1 and is_recording(paths[0]):
        yield paths[0]
        return
    refuse_recordings_among(paths)
    with _temporary_folder() as folder:
        # Named as the trace is: views that are given a path call the run by it.
        target = folder / f"{paths[0].name[-50:] or 'run'}{SUFFIX}"
        yield import_to(target, paths, keep_bytes=keep_bytes, quiet=quiet)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that goes away however the command ends, but by SIGKILL. Raises Failure."""
    folder = None
    with ended_by_signals():
        try:
            with held_back():
                folder = Path(tempfile.mkdtemp(prefix="fwtop-open-"))
            yield folder
        except OSError as error:
            if folder is not None:
                raise
            raise unwritable_state_folder(tempfile.gettempdir(), error) from error
        finally:
            with held_back():
                if folder is not None:
                    shutil.rmtree(folder, ignore_errors=True)


def import_to(
    target: Path,
    paths: Sequence[Path],
    name: str | None = None,
    tags: Sequence[str] = (),
    keep_bytes: int = 0,
    quiet: bool = False,
) -> Path:
    """Make the recording `target` of traces, with progress on stderr. Raises as `opened` does."""
    from fwtop.cli.import_progress import ImportProgress
    from fwtop.importer.run import import_traces
    from fwtop.importer.trace_files import find as find_traces

    found = find_traces(paths)
    with ImportProgress([file.path for file in found.files], quiet) as progress:
        import_traces(found, target, name, tags, keep_bytes, progress)
    return target


def shown(words: Sequence[str], path: Path) -> str:
    """What to call the run of `opened(words)`: a temporary recording is no name for it."""
    return str(path) if len(words) == 1 and find(words[0]) == path else " ".join(words)


def is_recording(path: Path) -> bool:
    """Whether a path is to be opened as a recording: by its ending, or by what is in it.

    What is not there, and what says that it is one, is: opening it then tells what is wrong.
    """
    if path.is_dir():
        return False
    if path.suffix == SUFFIX or not path.exists():
        return True
    return detect(path) == RECORDING


def refuse_recordings_among(paths: Sequence[Path]) -> None:
    """Raise Failure where recordings are named beside others: each is a run of its own."""
    for path in paths:
        if is_recording(path):
            raise Failure(
                Code.USAGE,
                f"{path} is a recording, and only one can be opened at a time",
                "`fwtop compare A B` sets runs side by side; several traces make one run",
            )
