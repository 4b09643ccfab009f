"""Wrappers of a framework's calls that tell the tape when they begin and end.

Owns how a call is wrapped: arguments, results and exceptions pass untouched, an error of ours
switches its guard off and nothing else. Which calls they are, and whether a call counts, is the
framework's folder's. Must not import a framework.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from fwtop_profilers.guard import Guard
from fwtop_profilers.plain_steps import Boundary
from fwtop_profilers.tape import Tape

Hook = Callable[..., Any]
Begins = Callable[[Any, Tuple[Any, ...], Dict[str, Any]], Any]
Ends = Callable[[Any, Any], None]


def hide(error: BaseException) -> None:
    """Take the frame that catches `error` out of its traceback; it is to raise it again at once.

    What a script prints or logs of an error is then what it would without us. Python adds no entry
    for an error that is raised again; before 3.11 it restores the one that was taken out.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def wrap_fetch(
    original: Hook,
    tape: Tape,
    guard: Guard,
    asks: Sequence[Any],
    trains: Callable[[], Optional[bool]],
    tensor: type,
    shape_of: Callable[[Any], Any],
    samples_of: Callable[[Any], Optional[int]],
) -> Hook:
    """An iterator's `__next__`, with its wait and the size of its batch told.

    Unless `asks` is empty, `trains` says whether a batch may be trained on, and None where the call
    says nothing. Nearly all batches are a `tensor`, or begin with one, whose sizes are what
    `shape_of` gives; how large any other is `samples_of` says, and None where there is no telling.
    """
    append, clock, thread, exhausted = tape.append, tape.clock, tape.thread, tape.input_end
    begin, end = tape.steps.input_begin, tape.steps.input_end
    begun: Boundary = (begin, 0, "", ())
    ended: Boundary = (end, 0, "", ())

    @functools.wraps(original)
    def fetch(self: Any) -> Any:
        nonlocal begun, ended
        if guard.off:
            return original(self)
        training = None
        try:
            training = trains() if asks else True
            if training is not None:
                by = thread()
                given = (id(self), training)
                noted = begun
                if noted[3] != given or noted[1] != by:
                    noted = begun = (begin, by, "", given)
                at_ns = clock()
                append((at_ns, noted))
                if at_ns >= tape.due_ns:
                    tape.play()
        except Exception as error:
            guard.fail(error)
        try:
            batch = original(self)
        except BaseException as raised:
            hide(raised)
            if training is not None:
                guard.run(lambda: exhausted(None, False))
            raise
        if training is not None:
            try:
                kind = type(batch)
                first = batch[0] if (kind is tuple or kind is list) and batch else batch
                shape = shape_of(first) if type(first) is tensor else None
                gave = (shape[0] if shape else samples_of(batch),)
                noted = ended
                if noted[3] != gave or noted[1] != by:
                    noted = ended = (end, by, "", gave)
                at_ns = clock()
                append((at_ns, noted))
                if at_ns >= tape.due_ns:
                    tape.play()
            except Exception as error:
                guard.fail(error)
        return batch

    return fetch


def wrap_call(original: Hook, begins: Begins, ends: Ends, guard: Guard) -> Hook:
    """A method, with its begin told, and its end where `begins` gave a token for it.

    `begins(self, args, kwargs)` gives None where the call says nothing; `ends(self, token)` is told
    whether the call returned or raised. The arguments come as they are: unpacked once more, a
    keyword of the script's could be taken for a parameter of ours.
    """

    @functools.wraps(original)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = None
        if not guard.off:
            try:
                token = begins(self, args, kwargs)
            except Exception as error:
                guard.fail(error)
        try:
            return original(self, *args, **kwargs)
        except BaseException as raised:
            hide(raised)
            raise
        finally:
            if token is not None:
                try:
                    ends(self, token)
                except Exception as error:
                    guard.fail(error)

    return called


def with_key(end: Callable[[int], None]) -> Ends:
    """What is told of a call's end where its token is the key that `end` takes."""
    return lambda owner, key: end(key)


def never(owner: Any, token: Any) -> None:
    """The end of a call whose begin alone is told."""


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
