"""One process's probe at work: the context, the sender, and the frameworks in it.

Owns how the parts are put together, when the process introduces itself, and what becomes of all
that in a forked child and at the end. Imported only once a framework has been, so its imports cost
an interpreter without one nothing.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
from types import ModuleType
from typing import Any, Dict, List, Optional

from fwtop_profilers import config as configuration
from fwtop_profilers import marks, process_role, ranks, wire
from fwtop_profilers.clock import NEVER_NS, anchor, now_ns
from fwtop_profilers.config import ProbeConfig
from fwtop_profilers.probe import Context, Probe
from fwtop_profilers.sender import Sender
from fwtop_profilers.tape import Tape

FOLDERS = {"tf_keras": "keras"}
"""The folder of a framework's probe, where it is not the framework's name."""


def open_session(is_forked: bool) -> Optional[Session]:
    """The session of this process; None where it does not run under fwtop."""
    settings = configuration.from_environment(os.environ)
    return None if settings is None else Session(settings, is_forked)


class Session:
    """The probe of this process."""

    def __init__(self, settings: ProbeConfig, is_forked: bool) -> None:
        self._settings = settings
        self._is_forked = is_forked
        self._began_ns = now_ns()
        self._probes: Dict[str, Probe] = {}
        self.sender = Sender(settings.socket_path, self._hello, self._received)
        self.tape = Tape(settings.step_on)
        self.steps = self.tape.steps
        self.context = Context(settings, self.sender, self.tape)
        self.sender.on_failure = self.context.fail
        self._follow_steps()
        marks.receiver = self._mark
        atexit.register(self._end, "exit")
        self._end_with_multiprocessing()

    def add(self, framework: ModuleType) -> None:
        """A framework has been imported: install its probe."""
        name = framework.__name__
        if name in self._probes:
            return
        try:
            folder = importlib.import_module("fwtop_profilers." + FOLDERS.get(name, name))
            probe: Probe = folder.make_probe(self.context, framework)
            self._probes[name] = probe
            probe.install()
        except Exception as error:
            self.context.fail(name, error)
        path = os.path.dirname(os.path.abspath(getattr(framework, "__file__", "") or "."))
        if not self._is_forked and process_role.is_users_script(process_role.original_argv(), path):
            self.sender.start()

    def forked(self) -> None:
        """This is a child now: begin anew, and silently."""
        self._is_forked = True
        self._began_ns = now_ns()
        frameworks = self.sender.latest(wire.Framework)
        self.sender.reset()
        self.tape.reset()
        self.steps.on_step_end = [self._step_ended, *self._other_listeners()]
        self.context.failed_hooks.clear()
        for listener in self.context.on_fork:
            try:
                listener()
            except Exception as error:
                self.context.fail("fork", error)
        for framework in frameworks:
            self.context.send(framework)
        self._end_with_multiprocessing()

    # --- steps ----------------------------------------------------------------------------------

    def _follow_steps(self) -> None:
        self.tape.on_failure = self.context.fail
        self.steps.on_failure = lambda error: self.context.fail("a listener of steps", error)
        self.steps.on_source.append(self._source_known)
        self.steps.on_step_end.append(self._step_ended)
        self.tape.wakes.append(self._plays_from_ns)
        self.sender.sources.append(self._drain_steps)
        self.sender.finishers.append(self.tape.finish)
        if self.steps.source is not None:
            self._source_known(self.steps.source)

    def _source_known(self, source: str) -> None:
        self.context.send(wire.StepSource(source, self.steps.source_detail))

    def _step_ended(self, index: int, start_ns: int, end_ns: int, flags: int) -> None:
        if not self.sender.started:
            self.sender.start()
        # Once is enough, and each step would pay for it. Another list: this one is being walked.
        self.steps.on_step_end = self._other_listeners()

    def _plays_from_ns(self) -> int:
        """Until the sender's thread runs, nobody but the hooks themselves plays the tape."""
        return NEVER_NS if self.sender.started else 0

    def _other_listeners(self) -> List[Any]:
        return [one for one in self.steps.on_step_end if one != self._step_ended]

    def _drain_steps(self) -> List[wire.Steps]:
        self.tape.play()
        batches = []
        for _ in range(64):
            steps = self.steps.drain()
            if steps is None:
                break
            batches.append(steps)
        return batches

    # --- from and to the recorder ---------------------------------------------------------------

    def _mark(self, name: str, value: Optional[str]) -> None:
        self.context.send(wire.Mark(now_ns(), name, value))

    def _received(self, message: Any) -> None:
        """A message of the recorder's, on the sender's thread."""
        context = self.context
        listeners: List[Any] = []
        if isinstance(message, wire.Capture):
            listeners += context.on_capture
        elif isinstance(message, wire.SetBudget):
            listeners += context.on_budget
        for listener in listeners:
            try:
                listener(message)
            except Exception as error:
                self.context.fail(type(message).__name__, error)

    def _hello(self) -> wire.Hello:
        monotonic_ns, unix_ns = anchor()
        place = ranks.from_environment(os.environ)
        return wire.Hello(
            wire_version=wire.WIRE_VERSION,
            process_key="%d-%d" % (os.getpid(), self._began_ns),
            pid=os.getpid(),
            parent_pid=os.getppid(),
            started_ns=self._began_ns,
            anchor_monotonic_ns=monotonic_ns,
            anchor_unix_ns=unix_ns,
            host=os.uname().nodename,
            argv=[_printable(str(word)) for word in getattr(sys, "argv", [])][:1000],
            executable=_printable(sys.executable or ""),
            python_version="%d.%d.%d" % sys.version_info[:3],
            rank=place.rank,
            local_rank=place.local_rank,
            world_size=place.world_size,
        )

    # --- the end --------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        try:
            self.sender.stop(reason)
        except Exception as error:  # the process ends; counted, for there is nobody left to tell
            self.context.fail("end", error)

    def _end_with_multiprocessing(self) -> None:
        """Children of multiprocessing end by os._exit, past atexit, but run its finalizers.

        A child drops the finalizers that it has before `_run_after_forkers`: in one that has just
        been forked, ours is made there.
        """
        util = sys.modules.get("multiprocessing.util")
        if util is not None and self._is_forked:
            _finalize_with_multiprocessing(self)
            util.register_after_fork(self, _finalize_with_multiprocessing)


def _finalize_with_multiprocessing(session: Session) -> None:
    util = sys.modules["multiprocessing.util"]
    util.Finalize(None, session._end, args=("exit",), exitpriority=0)


def _printable(text: str) -> str:
    """Without the lone surrogates of an undecodable argument, which JSON readers refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")[:4000]
