"""What runs inside the user's script: standard library only, Python 3.9 or later.

The only name for users is `mark`; it does nothing when the script does not run under fwtop.
"""

from fwtop_profilers.marks import mark

__all__ = ["mark"]
