"""Which of a run's many Python processes is the user's own script.

Owns one question, asked when a framework has been imported: may this process introduce itself to
the recorder now, or must it stay silent until it trains? A run has processes that import a
framework and do nothing that a user would call the script: torchrun's agent, `accelerate launch`,
DataLoader workers, compile workers. They are known by how they were started:

- a forked child, or one that multiprocessing spawned: silent (`--multiprocessing-fork`, the
  forkserver and the resource tracker show in the command line);
- a launcher, by its module (`-m torch.distributed.run`) or its script's name (`torchrun`);
- a program that lies in the framework's own folder, such as inductor's compile workers.

Anything else is the user's script, and is listed even if it never trains. A silent process that
finishes a step introduces itself then, so being wrong here costs a few moments, never a process.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence, Tuple

LAUNCHER_MODULES = (
    "torch.distributed", "torch._inductor", "accelerate.commands", "deepspeed.launcher",
    "multiprocessing", "horovod", "pip", "build", "venv", "ensurepip", "tensorboard", "wandb",
)  # fmt: skip
LAUNCHER_SCRIPTS = frozenset(
    {
        "torchrun", "accelerate", "accelerate-launch", "deepspeed", "ds", "horovodrun",
        "tensorboard", "wandb", "pip", "pip3",
    }
)  # fmt: skip
_CHILD_MARKS = ("--multiprocessing-fork", "multiprocessing.forkserver",
                "multiprocessing.resource_tracker", "multiprocessing.spawn")  # fmt: skip
_OPTIONS_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def original_argv() -> List[str]:
    """The interpreter's own command line; empty if it cannot be had."""
    argv = getattr(sys, "orig_argv", None)  # from Python 3.10
    if argv:
        return list(argv)
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    except OSError:
        return list(getattr(sys, "argv", []))


def is_users_script(argv: Sequence[str], framework_folder: str) -> bool:
    """Whether `argv` (the interpreter's command line) starts the user's script."""
    if any(word.startswith("--multiprocessing-fork") for word in argv):
        return False
    kind, target = _target(argv)
    if kind == "command":
        return not any(mark in target for mark in _CHILD_MARKS)
    if kind == "module":
        return not any(_within(target, name) for name in LAUNCHER_MODULES)
    if os.path.basename(target) in LAUNCHER_SCRIPTS:
        return False
    return not os.path.abspath(target).startswith(os.path.join(framework_folder, ""))


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _target(argv: Sequence[str]) -> Tuple[str, str]:
    """(`script` | `module` | `command`, what) of an interpreter's command line."""
    words = iter(argv[1:])
    for word in words:
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif word.startswith("--") or word == "-":
            continue
        elif word.startswith("-"):
            for at, letter in enumerate(word[1:], 2):
                if letter in "WX":
                    break
                if letter in "mc":
                    what = word[at:] or next(words, "")
                    return ("module" if letter == "m" else "command"), what
        else:
            return "script", word
    return "script", ""
