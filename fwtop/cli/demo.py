"""A small real training under fwtop: `fwtop demo [torch|tensorflow]`.

Owns the choice of an interpreter that has the framework; the training is a script of
`fwtop/demo/`, and is run as any user's script is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

from fwtop.cli import options
from fwtop.cli.diagnostics import Code, Failure, say

SCRIPTS = {"torch": "torch_demo.py", "tensorflow": "tensorflow_demo.py"}
INSTALL = {"torch": "pip install torch", "tensorflow": "pip install tensorflow"}
WATCHED_SECONDS = 120
"""With somebody who watches; Ctrl-C, or q in the viewer, ends it earlier."""
UNWATCHED_SECONDS = 18
"""Without a terminal: long enough for the windows' figures and two evaluations."""


def configure(parser: ArgumentParser) -> None:
    """Add the demo's own options, and those of a run."""
    parser.add_argument("framework", nargs="?", default="torch", choices=sorted(SCRIPTS))
    parser.add_argument(
        "--compile",
        action="store_true",
        help="torch.compile the whole model (some 20 s at first), or XLA",
    )
    parser.add_argument(
        "--slow-input", action="store_true", help="make the input the bottleneck, to see it found"
    )
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="loading workers")
    parser.add_argument("--seconds", type=float, metavar="N", help="how long to train")
    options.configure(parser)


def main(arguments: Namespace) -> int:
    """Run it: under the viewer on a terminal, else recorded, with the summary at the end."""
    watched = sys.stdin.isatty() and sys.stdout.isatty() and not arguments.no_viewer
    arguments.python = interpreter_with(arguments.framework, arguments.python)
    seconds = arguments.seconds or (WATCHED_SECONDS if watched else UNWATCHED_SECONDS)
    script = Path(__file__).parent.parent / "demo" / SCRIPTS[arguments.framework]
    arguments.target = [str(script), "--seconds", f"{seconds:g}"]
    arguments.target += ["--workers", str(arguments.workers)]
    arguments.target += ["--compile"] if arguments.compile else []
    arguments.target += ["--slow-input"] if arguments.slow_input else []
    if not watched and not arguments.quiet:
        say(f"no terminal for the viewer: {seconds:g} s of training, then the summary")
    status: int = import_module(f"fwtop.cli.{'run' if watched else 'record'}").main(arguments)
    return status


def interpreter_with(
    framework: str, python: str | None, environ: Mapping[str, str] = os.environ
) -> str:
    """The first interpreter at hand that can import `framework`. Raises Failure."""
    asked = list(dict.fromkeys(_candidates(python, environ)))
    for candidate in asked:
        if _has(candidate, framework):
            return candidate
    raise Failure(
        Code.TARGET,
        f"the demo trains with {framework}, which is in none of: {', '.join(asked)}",
        f"{INSTALL[framework]}, or name an interpreter that has it: --python PATH",
    )


def _candidates(python: str | None, environ: Mapping[str, str]) -> Iterator[str]:
    """As a run would choose, then fwtop's own."""
    from fwtop.launch.target import TargetError, choose_interpreter

    try:
        yield choose_interpreter(python, environ)[0]
    except TargetError as error:
        raise Failure(Code.TARGET, str(error), error.next) from error
    if python is None:
        yield sys.executable


def _has(python: str, framework: str) -> bool:
    """Whether that interpreter finds it, without the seconds that importing it takes."""
    probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({framework!r}) is None)"
    try:
        asked = subprocess.run([python, "-c", probe], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
