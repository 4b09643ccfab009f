"""Asking NVML for one field: what an error means, and when to ask again.

Boards, drivers and container settings differ in what they answer. A field that a GPU does not have
is None and is left alone for `ASK_AGAIN_NS`, because even a refusal costs a system call a field a
second. A GPU that is gone, and a driver that is gone, are not about a field: they are raised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pynvml

Answer = TypeVar("Answer")

ASK_AGAIN_NS = 300_000_000_000

_LACKING = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
        26,  # NVML_ERROR_DEPRECATED, without a name in older bindings
    }
)
_GPU_GONE = frozenset(
    {
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_RESET_REQUIRED,
        28,  # NVML_ERROR_GPU_NOT_FOUND
    }
)
_DRIVER_GONE = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)


class GpuGoneError(Exception):
    """The GPU fell off the bus, was removed, or answers nothing until it is reset."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        """The NVML return code."""


class DriverGoneError(Exception):
    """The driver was unloaded or replaced under us."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
        """The NVML return code."""


def lacking(code: int) -> bool:
    """Whether a return code says that the field is not to be had here."""
    return code in _LACKING


def is_gone(code: int) -> bool:
    """Whether a return code says that the GPU itself is not there."""
    return code in _GPU_GONE


def check_gone(code: int) -> None:
    """Raises GpuGoneError or DriverGoneError where a return code says so."""
    if code in _GPU_GONE:
        raise GpuGoneError(code)
    if code in _DRIVER_GONE:
        raise DriverGoneError(code)


class Inquiry:
    """Remembers what one GPU lacks."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._silent_until_ns: dict[str, int] = {}

    def open(self, field: str) -> bool:
        """Whether `field` may be asked now."""
        until_ns = self._silent_until_ns.get(field)
        return until_ns is None or self._clock() >= until_ns

    def lacks(self, field: str) -> None:
        """Leave `field` alone for a while."""
        self._silent_until_ns[field] = self._clock() + ASK_AGAIN_NS

    def ask(self, field: str, call: Callable[[], Answer]) -> Answer | None:
        """What the call returns; None for what the GPU lacks or cannot say now.

        Raises GpuGoneError and DriverGoneError.
        """
        if not self.open(field):
            return None
        try:
            return call()
        except pynvml.NVMLError as error:
            check_gone(error.value)
            if lacking(error.value):
                self.lacks(field)
            return None
        except (UnicodeDecodeError, ValueError):
            return None

    def first(self, field: str, *calls: Callable[[], Answer]) -> Answer | None:
        """The first answer of several ways to ask for the same, the best one first."""
        for number, call in enumerate(calls):
            answer = self.ask(f"{field} {number}", call)
            if answer is not None:
                return answer
        return None
