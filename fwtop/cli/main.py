"""The entry point: which subcommand, its arguments, and every failure's exit status.

Imports little; a subcommand's module is loaded when it is the one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from fwtop import __version__
from fwtop.cli.diagnostics import Code, Failure, report, say, windows_is_not_supported

SUBCOMMANDS = {
    "run": "run it and watch",
    "record": "run it without the viewer: progress and summary on stderr",
    "attach": "the viewer on a live run",
    "ls": "runs and recordings at hand",
    "stop": "end a live run's script, as Ctrl-C would",
    "rm": "remove recordings: named, or by age, size and tags",
    "tag": "give a run a name and tags",
    "open": "the viewer on recordings and traces",
    "import": "traces of other tools kept as a recording",
    "summary": "one run in words, or in JSON",
    "compare": "what differs between recordings, and is it noise",
    "export": "a recording in another format",
    "doctor": "what works here, and what to do about the rest",
    "demo": "a small real training under fwtop",
}
_MODULES = {"import": "importing"}
"""Where a subcommand's module cannot have its name."""
_USAGE = """\
fwtop [OPTIONS] TARGET…     run it and watch:
                              fwtop train.py ARGS
                              fwtop -m package.module ARGS
                              fwtop -- torchrun --nproc-per-node 8 train.py
fwtop SUBCOMMAND --help     what a subcommand takes
"""


def run(words: Sequence[str] | None = None) -> int:
    """The console script: returns the exit status."""
    if sys.platform == "win32":
        return report(windows_is_not_supported())
    try:
        return dispatch(list(sys.argv[1:] if words is None else words))
    except Failure as failure:
        return report(failure)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `fwtop ls | head`
        _let_go_of_stdout()
        return 0
    except Exception as error:
        return report(_failure_of(error))


def dispatch(words: list[str]) -> int:
    """Run the subcommand that `words` mean. Raises Failure."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"fwtop {__version__}")
        return 0
    if words[0] in SUBCOMMANDS:
        return _subcommand(words[0], words[1:])
    return _subcommand("run", words, implied=True)


def _subcommand(name: str, words: list[str], implied: bool = False) -> int:
    from argparse import ArgumentParser, RawDescriptionHelpFormatter

    class Parser(ArgumentParser):
        """argparse's errors with our exit status."""

        def error(self, message: str) -> None:  # type: ignore[override]
            raise Failure(Code.USAGE, message, f"{self.prog} --help explains the options")

    module_name = f"fwtop.cli.{_MODULES.get(name, name)}"
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise Failure(
            Code.USAGE, f"this version has no `{name}` yet", "fwtop --help lists what there is"
        ) from error
    parser = Parser(
        prog="fwtop" if implied else f"fwtop {name}",
        description=_USAGE if implied else (module.__doc__ or "").partition("\n")[0],
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    if getattr(module, "TAKES_TARGET", False):
        from fwtop.cli.options import split

        own, target = split(words)
        arguments = parser.parse_args(own)
        arguments.target = target
        if implied:
            _check_first_word(target)
    else:
        # Options between the other words: parse_args would refuse what follows them. That one in
        # turn takes a word that begins with a dash, after --, for an option.
        free = "--" not in words
        arguments = parser.parse_intermixed_args(words) if free else parser.parse_args(words)
    status: int = module.main(arguments)
    return status


def _check_first_word(target: list[str]) -> None:
    """A word that is neither target nor subcommand is most likely a subcommand misspelt."""
    from fwtop.launch.target import is_target

    if not target or is_target(target[0]):
        return
    if target[0] in SUBCOMMANDS:
        raise Failure(
            Code.USAGE,
            f"options come after the subcommand {target[0]}",
            f"fwtop {target[0]} OPTIONS",
        )
    from difflib import get_close_matches

    near = get_close_matches(target[0], SUBCOMMANDS, 1)
    raise Failure(
        Code.USAGE,
        f"{target[0]}: neither a file here, nor a command on PATH, nor a subcommand",
        f"did you mean `fwtop {near[0]}`?" if near else "fwtop --help lists the subcommands",
    )


def _failure_of(error: Exception) -> Failure:
    """Errors of the layers below, by what they are about."""
    from fwtop.control import ControlError
    from fwtop.recording.store import RecordingError
    from fwtop.run_folder import UnsafeFolderError
    from fwtop.traces.model import TraceError

    if isinstance(error, TraceError):
        return Failure(Code.RECORDING, f"{error.place}: {error.what}", error.remedy)
    if isinstance(error, RecordingError):
        return Failure(Code.RECORDING, str(error), error.next)
    if isinstance(error, ControlError):
        return Failure(Code.CONTROL, str(error), "fwtop ls shows which runs are alive")
    if isinstance(error, UnsafeFolderError):
        return Failure(Code.FOLDER, str(error))
    import traceback

    traceback.print_exc()
    return Failure(
        Code.INTERNAL,
        f"a mistake in fwtop: {type(error).__name__}: {error}",
        "please report it with the lines above",
    )


def _help() -> str:
    lines = [_USAGE, "subcommands:"]
    lines += [f"  {name:<10} {what}" for name, what in SUBCOMMANDS.items()]
    lines += ["", "options of a run (before the target): fwtop run --help"]
    return "\n".join(lines)


def _let_go_of_stdout() -> None:
    import os

    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        say("stdout cannot be closed")


if __name__ == "__main__":
    sys.exit(run())
