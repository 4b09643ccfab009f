"""What every framework's probe is, and the guard around its hooks.

Owns the contract between `startup` and the framework folders: a `Probe` with `install` and
`uninstall`, and the `Context` through which it reaches the rest. Must not import a framework.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Protocol

from fwtop_profilers import wire
from fwtop_profilers.clock import now_ns
from fwtop_profilers.config import ProbeConfig

if TYPE_CHECKING:
    from fwtop_profilers.sender import Sender
    from fwtop_profilers.tape import Tape
    from fwtop_profilers.whole_steps import WholeSteps


class Probe(Protocol):
    """One framework's hooks in one process."""

    def install(self) -> None:
        """Put the hooks in. Called once, right after the framework's import has finished."""

    def uninstall(self) -> None:
        """Take every hook out again; safe to call twice."""


@dataclass
class Context:
    """What a probe may use. One a process, shared by the frameworks in it."""

    config: ProbeConfig
    sender: Sender
    tape: Tape
    failed_hooks: Dict[str, int] = field(default_factory=dict)
    on_capture: List[Callable[[wire.Capture], None]] = field(default_factory=list)
    """Called, on the sender's thread, when the user asks for a window."""
    on_budget: List[Callable[[wire.SetBudget], None]] = field(default_factory=list)
    on_fork: List[Callable[[], None]] = field(default_factory=list)
    """Called in a forked child, once sender and steps have begun anew there: the parent's threads
    and whatever they were at do not exist here."""

    @property
    def steps(self) -> WholeSteps:
        """What the rules have made of what is on the tape."""
        return self.tape.steps

    @property
    def hook_cost_ns(self) -> int:
        """What the hooks have taken so far, and the sender's thread, which runs the rules."""
        return self.tape.cost_ns + self.sender.cpu_ns

    def send(self, message: Any) -> None:
        """Queue a message; never blocks and never raises."""
        self.sender.send(message)

    def fail(self, hook: str, error: BaseException) -> None:
        """A hook raised: remember it as switched off, and tell the recorder once."""
        first = hook not in self.failed_hooks
        self.failed_hooks[hook] = self.failed_hooks.get(hook, 0) + 1
        if first:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            self.send(wire.ProbeFailure(now_ns(), hook, repr(error)[:400], text[-4000:]))

    def disabled(self, hook: str) -> bool:
        """Whether the hook has raised before, and must do nothing any more."""
        return hook in self.failed_hooks
