"""Tells its terminal's size when it changes, until a file is there."""

import os
import sys
import time
from pathlib import Path

told = None
while not Path(sys.argv[1]).exists():
    size = os.get_terminal_size()
    if size != told:
        print(f"{size.columns} columns, {size.lines} rows", flush=True)
        told = size
    time.sleep(0.01)
