"""What happens in a Python process that runs under fwtop: which it is, and what to hook.

Owns the outermost guard: nothing that goes wrong in here reaches the script. An interpreter that
imports no framework pays for this module, `import_hook` and one entry in `sys.meta_path`, and for
nothing else; the rest is imported when a framework has been.

A process introduces itself to the recorder when it imports a framework, if it is the user's script
(`process_role`), and otherwise with the first step that it finishes. A forked child begins anew:
no thread, socket, queue or step of its parent's, silent until it finishes a step of its own.
"""

from __future__ import annotations

import os

from fwtop_profilers import import_hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Optional

    from fwtop_profilers.session import Session

FRAMEWORKS = ("torch", "tensorflow", "keras", "tf_keras")
"""Modules that are waited for; `session` knows the folder that holds the probe."""

session: Optional[Session] = None
"""This process's own, once it has imported a framework."""
_is_forked = False


def start() -> None:
    """Wait for a framework, if this process runs under fwtop."""
    if not os.environ.get("FWTOP_SOCKET") or not os.environ.get("FWTOP_WINDOWS"):
        return
    try:
        for name in FRAMEWORKS:
            import_hook.when_imported(name, _imported)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)
    except Exception:  # the process's edge: before a framework there is nobody to tell
        return


def _imported(module: ModuleType) -> None:
    global session
    from fwtop_profilers import session as sessions

    if session is None:
        session = sessions.open_session(is_forked=_is_forked)
    if session is not None:
        session.add(module)


def _forked() -> None:
    global _is_forked
    _is_forked = True
    if session is None:
        return
    try:
        session.forked()
    except Exception as error:
        session.context.fail("fork", error)
