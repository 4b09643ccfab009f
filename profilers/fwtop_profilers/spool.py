"""How much a process may leave in the windows folder before the recorder has read it.

Owns the names of trace files and the limit on unread ones. The folder is mostly on /dev/shm, which
the script's own DataLoader workers need: with the recorder dead it must not fill.
"""

from __future__ import annotations

import os
from typing import Dict

MAX_FILES = 4
MAX_BYTES = 64 << 20
MIN_FREE_BYTES = 48 << 20


class Spool:
    """One process's trace files in the windows folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._unread: Dict[str, int] = {}
        self._made = 0

    def new_path(self, suffix: str) -> str:
        """A name that no other process of the run makes."""
        self._made += 1
        return os.path.join(self._folder, "%d-%06d%s" % (os.getpid(), self._made, suffix))

    def added(self, path: str, size_bytes: int) -> None:
        """A file lies in the folder, whole, for the recorder to read and delete."""
        self._unread[path] = size_bytes

    def why_full(self) -> str:
        """Why no further file may be added, in words; empty if one may."""
        for path in [path for path in self._unread if not os.path.exists(path)]:
            del self._unread[path]
        if len(self._unread) >= MAX_FILES or sum(self._unread.values()) >= MAX_BYTES:
            return "the recorder, which has not read the last windows"
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            return "the windows folder (%s)" % (error.strerror or error)
        if disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES:
            return "room in the windows folder"
        return ""
