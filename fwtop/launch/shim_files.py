"""The shim's files in the run folder, written whole or not at all.

A part of the shim: standard library only, few imports.
"""

# ruff: noqa: PTH104
# pathlib would cost more to import than all the rest.

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def reserve(path: str) -> None:
    """Take the room for exit.json now: on a full disk there would be none for it at the end."""
    try:
        with open(path, "wb") as file:
            file.write(b" " * 1024)
    except OSError:
        pass


def write_json(path: str, body: dict[str, Any], temporary: str | None = None) -> None:
    """Write a file whole or not at all. `temporary` may be a name whose room is reserved."""
    part = path + ".tmp" if temporary is None else os.path.join(os.path.dirname(path), temporary)
    data = json.dumps(body).encode("ascii")[:4096].ljust(1024)
    file = os.open(part, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, data, 0)
    finally:
        os.close(file)
    os.rename(part, path)
