"""`python -m fwtop`: the same as the command `fwtop`."""

import sys
from pathlib import Path

# `-m` puts the working folder first on sys.path, where the user's modules would shadow ours.
if sys.path and sys.path[0] == str(Path.cwd()) and Path(__file__).parents[1] != Path.cwd():
    del sys.path[0]

from fwtop.cli.main import run

sys.exit(run())
