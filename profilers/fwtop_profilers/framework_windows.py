"""What of trace windows is a framework's own: its names, its profiler, its device.

Owns the seam between `windows` and the frameworks' folders; when a window opens is `windows`'.
"""

from __future__ import annotations

from typing import Any

from fwtop_profilers.opened_window import Opened


class FrameworkWindows:
    """Asked by `Windows`; each framework's folder answers."""

    hook = "windows"
    """The guard's name."""
    framework = ""
    """Windows open at this framework's steps alone, where it is known whose they are."""
    trace_format = ""
    suffix = ""
    ends_on_any_thread = False
    """Whether a trace can be ended by a thread that has not started it."""

    def _start(self, opened: Opened) -> None:
        """Begin to record. Raises BusyError, or what the profiler raises."""
        raise NotImplementedError

    def _others_running(self) -> str:
        """Which profiler of the script's is on or may start at any moment, in words; '' if none."""
        return ""

    def _install_others(self) -> None:
        """Notice from now on when the script starts a profiler of its own."""

    def _uninstall_others(self) -> None:
        """No more."""

    def _is_ours(self, ours: bool) -> None:
        """What the profiler is told from here on is told by us, or no longer."""

    def _device_event(self) -> Any:
        """An event that the device passes when it has finished the traced steps, or None."""
        return None
