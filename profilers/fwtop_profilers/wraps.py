"""Wrappers of a framework's calls that tell `StepTracker` when they begin and end.

Owns how a call is wrapped: arguments, results and exceptions pass untouched, an error of ours
switches its guard off and nothing else. Which calls they are, and whether a call counts, is the
framework's folder's. Must not import a framework.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from fwtop_profilers.guard import Guard

Hook = Callable[..., Any]


def hide(error: BaseException) -> None:
    """Take the frame that catches `error` out of its traceback; it is to raise it again at once.

    What a script prints or logs of an error is then what it would without us. Python adds no entry
    for an error that is raised again; before 3.11 it restores the one that was taken out.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def wrap_fetch(
    original: Hook,
    begin: Callable[[int, bool], None],
    end: Callable[..., None],
    guard: Guard,
    trains: Callable[[], bool],
    samples_of: Callable[[Any], Optional[int]],
) -> Hook:
    """An iterator's `__next__`, with its wait and the size of its batch told."""

    @functools.wraps(original)
    def fetch(self: Any) -> Any:
        if guard.off:
            return original(self)
        try:
            begin(id(self), trains())
        except Exception as error:
            guard.fail(error)
        try:
            batch = original(self)
        except BaseException as raised:
            hide(raised)
            try:
                end(None, False)
            except Exception as error:
                guard.fail(error)
            raise
        try:
            end(samples_of(batch))
        except Exception as error:
            guard.fail(error)
        return batch

    return fetch


def wrap_keyed(
    original: Hook,
    begin: Callable[[int], None],
    end: Callable[[int], None],
    guard: Guard,
    counts: Callable[..., bool],
) -> Hook:
    """A method, told with its object's id where `counts` (its arguments) says so."""

    @functools.wraps(original)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        told = False
        if not guard.off:
            try:
                told = counts(self, *args)
                if told:
                    begin(id(self))
            except Exception as error:
                guard.fail(error)
        try:
            return original(self, *args, **kwargs)
        except BaseException as raised:
            hide(raised)
            raise
        finally:
            if told:
                try:
                    end(id(self))
                except Exception as error:
                    guard.fail(error)

    return called


def wrap_made(original: Hook, made: Callable[[Any], None], guard: Guard) -> Hook:
    """A constructor, with what it has made told."""

    @functools.wraps(original)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            original(self, *args, **kwargs)
        except BaseException as raised:
            hide(raised)
            raise
        if not guard.off:
            guard.run(lambda: made(self))

    return initialize
