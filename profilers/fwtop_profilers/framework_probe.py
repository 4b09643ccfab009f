"""A framework's probe: its hooks put in part by part, what they are told once a second, taken out.

Owns what every framework's probe does alike; which parts there are is the framework's folder's. A
part that cannot be put in (another version, a missing name) is told of in `Framework.hooks` and
leaves the others alone. Must not import a framework.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from fwtop_profilers import hook_cost, import_hook, wire
from fwtop_profilers.guard import Guard
from fwtop_profilers.patches import Patches
from fwtop_profilers.probe import Context
from fwtop_profilers.step_calls import StepCalls

POLL_S = 1.0

Install = Callable[[Guard], str]
"""Puts a part in and says how, for `Framework.hooks`; '' where there is nothing to say."""
Rehearsal = Tuple[Callable[[hook_cost.Work], Callable[[], None]], int]


class FrameworkProbe:
    """All of one framework's hooks in one process."""

    prefix = ""
    """Of its parts' names, where a failure is told."""

    def __init__(self, context: Context, framework: ModuleType) -> None:
        self._context = context
        self._framework: Any = framework
        self._patches = Patches()
        self._undo: List[Callable[[], None]] = []
        self._hooks: Dict[str, str] = {}
        self._told: Optional[wire.Framework] = None
        self._device = ""
        self._installed = False

    # --- the framework's own --------------------------------------------------------------------

    def _parts(self) -> Sequence[Tuple[str, Install]]:
        """The parts by their names, in the order in which they go in."""
        raise NotImplementedError

    def _look(self) -> None:
        """Once a second, on the sender's thread: what can only be learnt by asking."""

    def _rehearsal(self) -> Optional[Rehearsal]:
        """What makes a plain step's hooks, on a tape of their own and around the work that it is
        given, and how many boundaries they tell of."""
        return None

    def _is_compiling(self) -> bool:
        """Whether the framework traces what this thread runs, rather than running it."""
        return False

    def _described(self) -> Dict[str, str]:
        """What is in use now, by subject."""
        return dict(self._hooks)

    def _device_uuid(self) -> Optional[str]:
        """The device's, where the framework tells it."""
        return None

    # --- in and out -----------------------------------------------------------------------------

    def install(self) -> None:
        """Put every hook in; idempotent."""
        if self._installed:
            return
        self._installed = True
        for name, install in self._parts():
            self._part(name, install)
        self._tell()  # now: a child that trains for a moment may not live to be asked
        self._context.sender.every(POLL_S, self._poll)
        self._context.sender.finishers.append(self._tell)  # of steps shorter than a look
        self._undo.append(lambda: self._context.sender.finishers.remove(self._tell))
        self._context.on_fork.append(self._forked)

    def uninstall(self) -> None:
        """Take every hook out; safe to call twice."""
        while self._undo:
            undo = self._undo.pop()
            try:
                undo()
            except Exception as error:
                self._context.fail(self.prefix + "uninstall", error)
        self._patches.undo()
        self._installed = False

    def _part(self, name: str, install: Install) -> None:
        """Install one part; what it returns, or why it failed, is told in `Framework.hooks`."""
        hook = self.prefix + name
        try:
            how = install(Guard(self._context, hook))
        except Exception as error:
            self._context.fail(hook, error)
            how = "failed: " + repr(error)[:200]
        if how:
            self._hooks[name] = how

    def _part_when(self, name: str, module: str, install: Callable[[Any, Guard], str]) -> None:
        """The same with a module of the framework's, now or once the script has imported it."""

        def imported(found: ModuleType) -> None:
            self._part(name, lambda guard: install(found, guard))
            self._tell()

        self._undo.append(lambda: import_hook.forget(module))
        import_hook.when_imported(module, imported)

    def _install_call(self, guard: Guard) -> str:
        """`--step-on call:…`."""
        calls = StepCalls(self._context.tape, self._is_compiling)
        calls.install()
        self._undo.append(calls.uninstall)
        source = self._context.steps.source or ""
        return source if source.startswith("call:") else ""

    # --- telling --------------------------------------------------------------------------------

    def _poll(self) -> None:
        tape = self._context.tape
        if tape.steps.index and not tape.call_cost_ns:
            rehearsal = self._rehearsal()
            if rehearsal is not None:
                tape.call_cost_ns = hook_cost.calibrate(*rehearsal)
        self._look()
        self._tell()

    def _tell(self) -> None:
        """Send `Framework` if anything of it is news."""
        steps, name, hooks = self._context.steps, self._framework.__name__, self._described()
        if steps.index and steps.framework == name:
            hooks["steps"] = steps.source or ""
        framework = wire.Framework(
            name=name,
            version=str(getattr(self._framework, "__version__", "")),
            hooks=hooks,
            device=self._device or None,
            device_uuid=self._device_uuid(),
        )
        if framework != self._told:
            self._told = framework
            self._context.send(framework)

    def _forked(self) -> None:
        """This is a child now: what was told was told by its parent."""
        self._told = None
        self._device = ""
