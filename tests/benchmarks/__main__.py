"""`python -m tests.benchmarks [NAME…]`: run the benchmarks, keep the results, print the table.

A benchmark is a module here with `configure(parser)` (optional) and `measure(options) -> Outcome`.
Those that stand alone print their own tables, which are kept as results/NAME.txt.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from types import ModuleType

from tests.benchmarks import outcome
from tests.benchmarks.commands import favour

NAMES = (
    "startup", "overhead", "overhead_tensorflow", "overhead_by_step", "peers", "recorder_memory",
    "decode", "decode_xplane", "compare", "hta", "open_trace", "open_large", "viewer",
)  # fmt: skip
STANDALONE = ("window_cost",)


def run_standalone(name: str, keep: bool) -> None:
    """Run it as its docstring says. Raises CalledProcessError."""
    argv = [sys.executable, "-m", f"tests.benchmarks.{name}"]
    printed = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(f"{name}\n{printed}")
    if keep:
        outcome.RESULTS.mkdir(exist_ok=True)
        (outcome.RESULTS / f"{name}.txt").write_text(printed)


def main(arguments: list[str]) -> int:
    """Run the named ones, or all; 1 if one failed to run (a missed bar is a result, no failure)."""
    known = [*NAMES, *STANDALONE]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="short runs, not for publishing")
    modules: dict[str, ModuleType] = {
        name: importlib.import_module(f"tests.benchmarks.{name}") for name in NAMES
    }
    for module in modules.values():
        if hasattr(module, "configure"):
            module.configure(parser)
    options = parser.parse_args(arguments)
    favour(os.getpid())
    measured, failed = [], 0
    for name in options.names or known:
        if name not in known:
            parser.error(f"no benchmark called {name}; there are: {', '.join(known)}")
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            if name in STANDALONE:
                run_standalone(name, keep=not options.quick)
                continue
            measured.append(modules[name].measure(options))
        except Exception as error:  # the others are still worth their time
            failed += 1
            print(f"{name} failed: {error!r}", file=sys.stderr)
            continue
        if not options.quick:
            print(f"{name}: {outcome.write(measured[-1])}", file=sys.stderr)
            outcome.publish()
    print(outcome.table(measured))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
