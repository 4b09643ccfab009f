"""`python -m tests.benchmarks [NAME…]`: run the benchmarks, keep the results, print the table.

A benchmark is a module here with `configure(parser)` (optional) and `measure(options) -> Outcome`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from tests.benchmarks import outcome

NAMES = (
    "startup",
    "overhead",
    "recorder_memory",
    "decode",
    "decode_xplane",
    "window_cost",
    "viewer",
    "open_large",
)


def main(arguments: list[str]) -> int:
    """Run the named ones, or all; 1 if one failed to run (a missed bar is a result, no failure)."""
    there = [name for name in NAMES if (Path(__file__).parent / f"{name}.py").exists()]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(there)}")
    parser.add_argument("--quick", action="store_true", help="short runs, not for publishing")
    modules = {name: importlib.import_module(f"tests.benchmarks.{name}") for name in there}
    for module in modules.values():
        if hasattr(module, "configure"):
            module.configure(parser)
    options = parser.parse_args(arguments)
    measured, failed = [], 0
    for name in options.names or there:
        if name not in modules:
            parser.error(f"no benchmark called {name}; there are: {', '.join(there)}")
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
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
