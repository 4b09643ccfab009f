"""End a live run's script, as Ctrl-C would."""

from __future__ import annotations

import signal
from argparse import ArgumentParser, Namespace

from fwtop.cli.diagnostics import Code, Failure, say
from fwtop.cli.live import ask_shim, find_live, wait_for_end

GRACE_S = 10.0


def configure(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("run", nargs="?", help="a run's id or its start; the newest, if not named")
    parser.add_argument(
        "--kill", action="store_true", help="if it does not end: SIGTERM, and then SIGKILL"
    )
    parser.add_argument(
        "--timeout", type=float, default=GRACE_S, metavar="SECONDS",
        help=f"patience after each signal ({GRACE_S:.0f})",
    )  # fmt: skip


def main(arguments: Namespace) -> int:
    """Exit status 0 once it has ended. Raises Failure if it has not."""
    folder = find_live(arguments.run)
    shim = folder.connect_shim()
    if shim is None:
        say(f"{folder.run_id} has ended already")
        return 0
    signals = [signal.SIGINT, *([signal.SIGTERM, signal.SIGKILL] if arguments.kill else [])]
    with shim:
        for number in signals:
            ask_shim(shim, {"signal": int(number)})
            if wait_for_end(shim, arguments.timeout):
                say(f"{folder.run_id} has ended ({number.name})")
                return 0
    raise Failure(
        Code.CONTROL,
        f"{folder.run_id} still runs {arguments.timeout:g} s after {signals[-1].name}",
        f"it may be saving; wait, or end it with force: fwtop stop --kill {folder.run_id}",
    )
