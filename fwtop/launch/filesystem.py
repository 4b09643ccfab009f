"""Whether a folder lies on a network file system.

SQLite's WAL needs memory that all processes share, which network file systems do not give; a
recording that belongs on one is written elsewhere and moved at the end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

NETWORK_TYPES = frozenset(
    {
        "nfs", "nfs3", "nfs4", "cifs", "smbfs", "smb3", "smb2", "afs", "afpfs", "webdav", "davfs",
        "lustre", "gpfs", "mmfs", "beegfs", "ceph", "glusterfs", "pvfs2", "orangefs", "panfs",
        "ocfs2", "gfs2", "9p", "virtiofs", "autofs", "coda", "ncpfs", "wekafs", "fuse",
    }
)  # fmt: skip
"""`fuse` too: what lies behind a file system in user space (sshfs, s3fs, gcsfuse …) is unknown."""
LOCAL_FUSE = frozenset({"fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.portal"})


def is_network(path: Path) -> bool:
    """Whether the file system of `path` (or of its first existing parent) is a network one.

    Unknown counts as local: WAL then fails loudly, or works.
    """
    kind = filesystem_type(path)
    if kind is None or kind in LOCAL_FUSE:
        return False
    return kind in NETWORK_TYPES or kind.startswith("fuse.")


def filesystem_type(path: Path) -> str | None:
    """The type's name as the system's mount table has it; None if it cannot be found."""
    folder = path.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    mounts = _mounts()
    resolved = folder.resolve()
    for candidate in (resolved, *resolved.parents):
        if str(candidate) in mounts:
            return mounts[str(candidate)]
    return None


def _mounts() -> dict[str, str]:
    """Mount point → type. On Linux read directly: importing psutil costs a run 40 ms of start."""
    if sys.platform != "linux":
        import psutil

        return {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    mounts: dict[str, str] = {}
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return {}
    for line in lines:
        left, _, right = line.partition(b" - ")
        fields, kinds = left.split(b" "), right.split(b" ")
        if len(fields) > 4 and kinds:
            point = fields[4].replace(b"\\040", b" ").replace(b"\\011", b"\t")
            mounts[os.fsdecode(point)] = os.fsdecode(kinds[0])
    return mounts
