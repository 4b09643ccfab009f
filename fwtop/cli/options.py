"""The options that commands share, and where their values come from.

The nearer wins: command line, FWTOP_* variables, fwtop.toml in the project, config.toml of the
user, default.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fwtop.cli.diagnostics import Code, Failure

PROJECT_FILE = "fwtop.toml"
USER_FILE = "fwtop/config.toml"
DEFAULT_TRACE_BUDGET = 256 << 20


@dataclass(frozen=True)
class Option:
    """One option of a run: its flags, its key in files and variables, and how text becomes it."""

    key: str
    flags: tuple[str, ...]
    parse: Callable[[str], Any]
    default: Any
    help: str
    metavar: str | None = None
    """None: a switch."""
    configurable: bool = True

    @property
    def variable(self) -> str:
        """The environment's variable."""
        return "FWTOP_" + self.key.upper()


def ratio(text: str) -> float:
    """`1%`, `0.01`, `100%` as 0..1; raises ValueError."""
    value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is not between 0 and 100%; write 5% for five percent")
    return value


def seconds(text: str) -> float:
    """At least 0.1; raises ValueError."""
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise ValueError(f"{text} is not between 0.1 and 3600 seconds")
    return value


def switch(text: str) -> bool:
    """`1`, `true`, `yes`, `on` and their opposites; raises ValueError."""
    word = text.lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("", "0", "false", "no", "off"):
        return False
    raise ValueError(f"{text} is neither true nor false")


def size(text: str) -> int:
    """`256M`, `1G`, `2T`, `0` as bytes; raises ValueError."""
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    word = text.upper().removesuffix("B").removesuffix("I")
    shift = units.get(word[-1:], 0)
    value = int(word[:-1] if shift else word) << shift
    if value < 0:
        raise ValueError(f"{text} is negative")
    return value


def step_on(text: str) -> str:
    """What bounds a step; raises ValueError."""
    if text in ("auto", "optimizer", "forward", "input"):
        return text
    kind, _, place = text.partition(":")
    if kind == "call" and place.count(":") == 1 and all(place.split(":")):
        return text
    raise ValueError(
        f"{text} is none of auto, optimizer, forward, input, call:package.module:function"
    )


OPTIONS = (
    Option("overhead", ("--overhead",), ratio, 0.01,
           "share of the run time that watching may cost (1%%; 0 no windows, 100%% always)",
           "RATIO"),
    Option("deep", ("--deep",), switch, False,
           "take shapes, stacks, modules and memory in the first window"),
    Option("step_on", ("--step-on",), step_on, "auto",
           "what bounds a step: optimizer, forward, input, call:package.module:function", "WHAT"),
    Option("interval", ("--interval",), seconds, 1.0, "device sampling, in seconds", "SECONDS"),
    Option("output", ("-o", "--output"), str, None, "the recording's file", "FILE", False),
    Option("python", ("--python",), str, None, "the interpreter for the script", "PATH"),
    Option("trace_budget", ("--trace-budget",), size, DEFAULT_TRACE_BUDGET,
           "raw traces are kept up to this size in the recording (256M)", "SIZE"),
    Option("name", ("--name",), str, None, "a name for the run, shown in lists", "NAME", False),
    Option("tag", ("--tag",), str, (), "a tag for the run; may be repeated", "TAG", False),
    Option("no_viewer", ("--no-viewer",), switch, False, "record without the viewer"),
    Option("quiet", ("-q", "--quiet"), switch, False, "say nothing on stderr but errors"),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The values in force, and from where each came."""

    values: Mapping[str, Any]
    sources: Mapping[str, str] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


def configure(parser: ArgumentParser) -> None:
    """Add the options to a parser. Absent ones are None."""
    for option in OPTIONS:
        if option.metavar is None:
            parser.add_argument(
                *option.flags, dest=option.key, action="store_true", default=None, help=option.help
            )
        else:
            parser.add_argument(
                *option.flags,
                dest=option.key,
                metavar=option.metavar,
                default=None,
                action="append" if option.key == "tag" else "store",
                help=option.help,
            )


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """fwtop's own options, and the target with everything after it."""
    takes_value = {flag for o in OPTIONS if o.metavar is not None for flag in o.flags}
    position = 0
    while position < len(words):
        word = words[position]
        if not word.startswith("-") or word in ("-", "--", "-m", "-c"):
            break
        position += 2 if word in takes_value else 1
    return list(words[:position]), list(words[position:])


def settle(
    arguments: Namespace | None = None,
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Settings:
    """The values in force. Raises Failure for what cannot be."""
    folder = folder or Path.cwd()
    files = [(path, _load(path)) for path in configuration_files(environ, folder)]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for option in OPTIONS:
        given = getattr(arguments, option.key, None) if arguments is not None else None
        found: tuple[Any, str] | None = None
        if given is not None:
            found = given, option.flags[-1]
        elif option.configurable:
            if environ.get(option.variable):
                found = environ[option.variable], option.variable
            else:
                where = next((item for item in files if option.key in item[1]), None)
                if where is not None:
                    found = where[1][option.key], str(where[0])
        if found is None:
            values[option.key], sources[option.key] = option.default, "default"
        else:
            values[option.key], sources[option.key] = _value(option, *found), found[1]
    return Settings(values, sources)


def configuration_files(environ: Mapping[str, str], folder: Path) -> list[Path]:
    """The files that are there, nearest first: fwtop.toml from `folder` up, then the user's."""
    found = []
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            found.append(candidate / PROJECT_FILE)
            break
        if (candidate / ".git").exists():
            break
    base = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    user = Path(base) / USER_FILE
    return [*found, user] if user.is_file() else found


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where finished recordings live."""
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "fwtop"


def _value(option: Option, given: Any, source: str) -> Any:
    if isinstance(given, list) and option.key == "tag":
        return tuple(given)
    if isinstance(given, bool):
        if option.metavar is None:
            return given
        given = str(given)
    try:
        return option.parse(str(given))
    except ValueError as error:
        text = str(error)
        if "could not convert" in text or "invalid literal" in text:
            text = f"{given} is no {option.metavar or 'switch'}"
        code = Code.USAGE if source.startswith("-") else Code.CONFIGURATION
        raise Failure(code, f"{source}: {text}", "fwtop --help explains the options") from error


def _load(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        body: dict[str, Any] = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Failure(
            Code.CONFIGURATION, f"{path}: {error}", "correct it, or remove the file"
        ) from error
    body = {key.replace("-", "_"): value for key, value in body.items()}
    allowed = {option.key for option in OPTIONS if option.configurable}
    for key in body:
        if key not in allowed:
            raise Failure(
                Code.CONFIGURATION,
                f"{path}: there is no setting {key}",
                f"the settings are {', '.join(sorted(allowed))}",
            )
    return body
