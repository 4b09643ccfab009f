"""A recording in another format: timelines, tables, reports, flame graphs, scalars."""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fwtop.cli import sources
from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.endings import Ended, ended_by_signals
from fwtop.export.formats import FORMATS, Format
from fwtop.export.place import new_file, new_folder
from fwtop.export.source import ExportError, Source, Stretch
from fwtop.export.tables import chosen
from fwtop.queries import steps
from fwtop.recording.store import Recording, open_recording

STDOUT = "-"
REDRAW_S = 0.2
KEPT_BYTES = 1 << 30
"""Of imported traces, for formats that show each event; the temporary recording holds them."""

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = _epilog()
    parser.add_argument(
        "file",
        nargs="+",
        metavar="FILE",
        help=f"{sources.WHAT}; several traces, or a folder of them, make one run",
    )
    parser.add_argument(
        "--to", metavar="FORMAT", required=True, choices=list(FORMATS), help="see below"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT",
        help="the file or folder; - for stdout (default: named after the run, here)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace what is at OUT")
    parser.add_argument(
        "--table", metavar="NAME", action="append", default=[],
        help="csv, parquet, json: this table only; may be repeated",
    )  # fmt: skip
    parser.add_argument("--since", metavar="TIME", help="from this time of the run on: 90s, 1h30m")
    parser.add_argument("--until", metavar="TIME", help="to this time of the run: 0:02:30")
    parser.add_argument(
        "--steps", metavar="A:B", help="from step A to the end of step B of the first rank"
    )


def _epilog() -> str:
    """The formats and the tables, for the help."""
    lines = ["formats:", *(f"  {one.name:<12} {one.what}" for one in FORMATS.values())]
    lines += ["", "tables:", *(f"  {one.name:<17} {one.what}" for one in chosen(()))]
    lines += [
        "",
        "Columns have the recording's names and units: _ns nanoseconds, _bytes, _ratio 0..1.",
        "In CSV, a text that a spreadsheet would run as a formula gets an apostrophe in front.",
    ]
    return "\n".join(lines)


def main(arguments: Namespace) -> int:
    """Write it; where, on stderr. Raises Failure, RecordingError or TraceError."""
    format = FORMATS[arguments.to]
    _check(arguments, format)
    progress = _Progress()
    try:
        with ended_by_signals(), _opened(arguments, format) as recording:
            source = Source(
                recording,
                _stretch(arguments, recording),
                tuple(dict.fromkeys(arguments.table)),
                progress.tell,
                progress.warn,
            )
            out = arguments.output or _name(source, format)
            _write(source, format, out, arguments.force)
    except (Ended, KeyboardInterrupt):
        progress.clear()
        say("ended before it was done: nothing was written")
        raise
    finally:
        progress.clear()
    if out != STDOUT:
        say(f"{out} is written" + _advice(format))
    return 0


@contextmanager
def _opened(arguments: Namespace, format: Format) -> Iterator[Recording]:
    """The recording, or one made of traces, which are kept in it where the format is of them."""
    keep_bytes = KEPT_BYTES if format.raw else 0
    with (
        sources.opened(arguments.file, keep_bytes=keep_bytes) as path,
        open_recording(path) as recording,
    ):
        yield recording


def _check(arguments: Namespace, format: Format) -> None:
    """Raise Failure for options that the format has no use for."""
    if arguments.table and not format.tables:
        raise Failure(Code.USAGE, f"--table: {format.name} has no tables",
                      "csv, parquet and json have them")  # fmt: skip
    try:
        chosen(tuple(arguments.table))
    except ExportError as error:
        raise Failure(Code.USAGE, f"--table: {error}", error.next) from error
    if arguments.output == STDOUT and format.folder and not _single(format, arguments.table):
        raise Failure(
            Code.USAGE, f"{format.name} writes a folder, and stdout is one file",
            "name a folder with -o" + ("; or one table: --table steps" if format.tables else ""),
        )  # fmt: skip
    given = [name for name in ("since", "until", "steps") if getattr(arguments, name) is not None]
    if given and not format.stretch:
        raise Failure(Code.USAGE, f"--{given[0]}: {format.name} is of the whole run",
                      "leave it out, or choose another format")  # fmt: skip


def _single(format: Format, tables: list[str]) -> bool:
    return format.folder and format.tables and len(set(tables)) == 1


def _write(source: Source, format: Format, out: str, replace: bool) -> None:
    """Raises Failure for what keeps it from being written."""
    try:
        _write_to(source, format, out, replace)
    except ExportError as error:
        raise Failure(Code.OUTPUT, str(error), error.next) from error
    except BrokenPipeError:  # `… -o - | head`: `fwtop.cli.main` lets it pass
        raise
    except OSError as error:
        raise _unwritable(out, error) from error


def _write_to(source: Source, format: Format, out: str, replace: bool) -> None:
    if format.folder and not _single(format, list(source.tables)):
        with new_folder(Path(out), replace) as folder:
            format.write(source, folder)
        return
    write = format.file_writer()
    if out == STDOUT:
        write(source, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return
    with new_file(Path(out), replace) as file:
        write(source, file)


def _name(source: Source, format: Format) -> str:
    """Of the run's id, which may come from anywhere: no folders, no hidden files."""
    stem = re.sub(r"[^\w.+-]", "_", source.run.id)[:100].lstrip(".") or "run"
    if _single(format, list(source.tables)):
        return f"{stem}-{source.tables[0]}.{format.name}"
    return f"{stem}{format.suffix}" if format.suffix else f"{stem}-{format.name}"


def _advice(format: Format) -> str:
    return {
        "chrome": "; open it at https://ui.perfetto.dev",
        "speedscope": "; open it at https://www.speedscope.app",
        "folded": "; flamegraph.pl --countname ns FILE > flame.svg draws it",
        "tensorboard": "; tensorboard --logdir FOLDER shows it",
    }.get(format.name, "")


def _unwritable(out: str, error: OSError) -> Failure:
    what = os.strerror(error.errno) if error.errno else str(error)
    remedy = "nothing was left there; make room, or name another place with -o"
    if error.errno not in _NO_SPACE:
        remedy = "name another place with -o"
    return Failure(Code.OUTPUT, f"{out}: cannot be written: {what}", remedy)


def _stretch(arguments: Namespace, recording: Recording) -> Stretch:
    since, until = (_time_ns(arguments, name) for name in ("since", "until"))
    if arguments.steps is not None:
        if since is not None or until is not None:
            raise Failure(Code.USAGE, "--steps and --since or --until exclude each other")
        since, until = _of_steps(arguments.steps, recording)
    if since is not None and until is not None and since >= until:
        raise Failure(Code.USAGE, "--until is not after --since")
    return Stretch(since, until)


def _of_steps(text: str, recording: Recording) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"(\d{0,18}):(\d{0,18})", text)
    if match is None:
        raise Failure(Code.USAGE, f"--steps {text}: not two numbers", "for example --steps 100:200")
    found: list[int | None] = []
    for digits in match.groups():
        step = steps.by_index(recording, int(digits)) if digits else None
        if digits and step is None:
            raise Failure(Code.USAGE, f"--steps {text}: there is no step {digits}",
                          "`fwtop summary FILE` says how many there are")  # fmt: skip
        found.append(None if step is None else step.end_ns if found else step.start_ns)
    return found[0], found[1]


def _time_ns(arguments: Namespace, name: str) -> int | None:
    """`90s`, `1h30m`, `1.5m`, `0:02:30`, `12` (seconds) as ns."""
    text = getattr(arguments, name)
    if text is None:
        return None
    clock = re.fullmatch(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:\.\d{1,9})?)", text)
    seconds = None
    if clock is not None:
        seconds = int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])
    elif re.fullmatch(r"\d{1,12}(?:\.\d{1,9})?", text):
        seconds = float(text)
    elif len(text) < 40 and _PART.sub("", text) == "" and text:
        seconds = sum(float(value) * _UNIT_S[unit] for value, unit in _PART.findall(text))
    if seconds is None or seconds > 9e9:
        raise Failure(Code.USAGE, f"--{name} {text}: no time of the run",
                      "write it as 90s, 1h30m or 0:01:30")  # fmt: skip
    return round(seconds * 1e9)


class _Progress:
    """One line on stderr that is drawn over, on a terminal only."""

    def __init__(self) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._drawn = 0
        self._next = time.monotonic() + REDRAW_S

    def tell(self, what: str, done: int, whole: int) -> None:
        """See `fwtop.export.source.Tell`."""
        now = time.monotonic()
        if not self._terminal or now < self._next:
            return
        self._next = now + REDRAW_S
        text = f"fwtop: exporting {what.replace('_', ' ')}"
        if whole:
            text += f" {done:,} of {whole:,} ({done / whole:.0%})"
        self._draw(text[:78])

    def warn(self, text: str) -> None:
        """Say what could not be exported."""
        self.clear()
        say(text)

    def clear(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._draw("")

    def _draw(self, text: str) -> None:
        try:
            print(f"\r{text:<{self._drawn}}\r{text}", end="", file=sys.stderr, flush=True)
        except OSError:
            self._terminal = False
        self._drawn = len(text)
