"""What the records of PyTorch's structured trace mean: compiles, their phases, breaks, caches.

Owns the meaning and no source: live records come from a logging handler, old ones from a file. The
records, of one thread in order: `recompile_reasons`, `dynamo_start` with the user's frame,
`chromium_event` begins and ends that nest, `dynamo_graph_break_reason`, cache artifacts, and
`compilation_metrics` at the end. Older versions (2.3) have no `chromium_event`: then a compile is
from `dynamo_start` to its metrics.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Optional, Tuple

from fwtop_profilers.torch import compile_text
from fwtop_profilers.wire import CompileEvent

__all__ = ["CompileEvent", "CompileRecords", "Sink"]

MIN_PHASE_NS = 1_000_000
MAX_PHASES = 300
"""Phases told of one compile; a large one has thousands of Triton kernels."""
MAX_FRAMES = 4096
FRAME, BACKWARD = "entire_frame_compile", "entire_backward_compile"
MAIN_PHASES = {
    "bytecode_tracing": "trace bytecode",
    "backend_compile": "backend",
    "create_aot_dispatcher_function": "ahead-of-time autograd",
    "aot_trace_joint_graph": "trace joint graph",
    "compile_fx.<locals>.fw_compiler_base": "inductor forward",
    "compile_fx.<locals>.bw_compiler": "inductor backward",
    "fx_codegen_and_compile": "lower and generate",
    "GraphLowering.run": "lower",
    "Scheduler.codegen": "generate kernels",
    "compile_file": "compile file",
    "async_compile.wait": "wait for kernels",
    "triton_compile": "compile Triton",
    "CachingAutotuner.benchmark_all_configs": "autotune",
    "build_guards": "build guards",
}
"""Sent when they begin, so that the phase under way is on the screen, and under our own names."""
METRICS = {
    "graph_op_count": "graph_ops",
    "graph_node_count": "graph_nodes",
    "graph_input_count": "graph_inputs",
    "guard_count": "guards",
    "cache_size": "earlier_compiles",
    "restart_reasons": "restarts",
    "fail_type": "fail_type",
    "fail_reason": "fail_reason",
    "fail_user_frame_filename": "fail_file",
    "fail_user_frame_lineno": "fail_line",
}
AGAIN = "~"
"""In the key of a compile whose id was in use before: `torch._dynamo.reset()` begins again."""
CACHES = {"fx_graph_cache": "FX graph cache", "aotautograd_cache": "AOT autograd cache"}


@dataclass
class Phase:
    """A chromium event that has begun and not ended, on one thread."""

    name: str
    event: CompileEvent
    sent: bool


@dataclass
class Compiling:
    """What is known of one compile id."""

    event: CompileEvent
    phases: int = 0
    ended: bool = False


@dataclass
class Threads:
    """Open phases by thread."""

    stacks: Dict[int, List[Phase]] = field(default_factory=dict)

    def stack(self, thread: int) -> List[Phase]:
        """Of one thread."""
        return self.stacks.setdefault(thread, [])


class Sink:
    """Where the events go, and what they are told of the run around them."""

    def send(self, event: CompileEvent) -> None:
        """An event: begun, ended under the same key, or at once."""

    def compile_began(self) -> None:
        """A whole compile begins."""

    def compiling(self) -> None:
        """A whole compile begins, or ends, in the step under way."""

    def step_index(self) -> Optional[int]:
        """The step under way."""
        return None


class CompileRecords:
    """Converts records to `CompileEvent`s; used by one thread at a time.

    `package` is where PyTorch lies: its own frames are no user's. `interned` knows file names that
    were given a number before the first record.
    """

    def __init__(self, sink: Sink, package: str, interned: Callable[[int], Optional[str]]) -> None:
        self._sink = sink
        self.package = package
        self._interned = interned
        self._strings: Dict[int, str] = {}
        self._frames: Dict[str, Tuple[str, Optional[str], Optional[int]]] = {}
        self._compiles: Dict[str, Compiling] = {}
        self._threads = Threads()
        self._made = 0
        self._restarts = 0
        self._at_ns = 0
        self._thread = 0

    def take(self, metadata: Dict[str, Any], payload: Any, at_ns: int, thread: int) -> None:
        """One record. Raises whatever a damaged one makes it raise; it may be dropped then."""
        self._at_ns, self._thread = at_ns, thread
        text = payload if isinstance(payload, str) else ""
        if "chromium_event" in metadata:
            self._chromium(metadata, text)
        elif "str" in metadata:
            string, number = metadata["str"]
            self._strings[int(number)] = str(string)
        elif "dynamo_start" in metadata:
            self._started(metadata)
        elif "artifact" in metadata:
            self._artifact(str((metadata["artifact"] or {}).get("name", "")), metadata, text)
        elif "compilation_metrics" in metadata:
            self._metrics(metadata, metadata["compilation_metrics"] or {})

    # --- compiles -------------------------------------------------------------------------------

    def _started(self, metadata: Dict[str, Any]) -> None:
        compile_id = _compile_id(metadata)
        stack = (metadata["dynamo_start"] or {}).get("stack") or []
        if compile_id is None:
            return
        if stack and len(self._frames) < MAX_FRAMES:
            self._frames[_frame_id(compile_id)] = self._users_frame(stack)
        self._begin_compile(compile_id, backward=False)

    def _users_frame(self, stack: List[Dict[str, Any]]) -> Tuple[str, Optional[str], Optional[int]]:
        """The compiled function; where that is PyTorch's (`compile(nn.Linear(…))`), its caller."""
        frames = [(frame, self._file(frame.get("filename"))) for frame in reversed(stack)]
        for frame, file in frames:
            if file is None or not file.startswith(self.package):
                return compile_text.function_name(str(frame.get("name"))), file, frame.get("line")
        frame, file = frames[0]
        return compile_text.function_name(str(frame.get("name"))), file, frame.get("line")

    def _begin_compile(self, compile_id: str, backward: bool) -> CompileEvent:
        """The compile's event: it begins now, or its frame is known now, or nothing is new."""
        key = ("b" if backward else "c") + compile_id
        function, file, line = self._frames.get(_frame_id(compile_id), (None, None, None))
        known = self._compiles.get(key)
        name = (function or "frame " + compile_id) + (" backward" if backward else "")
        if known is not None and not known.ended:
            if function is None or known.event.function == function:
                return known.event
            known.event = replace(known.event, name=name, function=function, file=file, line=line)
        else:
            self._restarts += known is not None
            unique = key if known is None else "%s%s%d" % (key, AGAIN, self._restarts)
            event = self._event(
                unique, "compile", name, compile_id, function=function, file=file, line=line
            )
            if len(self._compiles) >= MAX_FRAMES:
                self._compiles.clear()
            known = self._compiles[key] = Compiling(event)
            self._sink.compile_began()
        self._sink.compiling()
        self._sink.send(known.event)
        return known.event

    def _end_compile(self, compile_id: str, backward: bool) -> None:
        known = self._compiles.get(("b" if backward else "c") + compile_id)
        if known is None or known.ended:
            return
        known.ended = True
        duration = self._at_ns - known.event.start_ns
        known.event = replace(known.event, duration_ns=duration)
        self._sink.compiling()
        self._sink.send(known.event)

    def _metrics(self, metadata: Dict[str, Any], metrics: Dict[str, Any]) -> None:
        compile_id = _compile_id(metadata) or metrics.get("compile_id")
        known = self._compiles.get("c" + str(compile_id))
        if known is None:
            return
        detail = {}
        for name, ours in METRICS.items():
            value = metrics.get(name)
            if isinstance(value, (int, float, str)) and value != "":
                detail[ours] = value[:200] if isinstance(value, str) else value
        duration = known.event.duration_ns
        if duration is None:
            duration = self._at_ns - known.event.start_ns
        known.ended = True
        reason = metrics.get("fail_reason")
        known.event = replace(
            known.event,
            duration_ns=duration,
            detail=detail,
            reason=str(reason)[: compile_text.MAX_REASON] if reason else known.event.reason,
        )
        self._sink.send(known.event)

    # --- phases ---------------------------------------------------------------------------------

    def _chromium(self, metadata: Dict[str, Any], payload: str) -> None:
        parsed = compile_text.chromium_event(payload)
        if parsed is None:
            return
        name, letter = parsed
        compile_id = _compile_id(metadata)
        if name in (FRAME, BACKWARD) and compile_id is not None:
            self._whole_compile(compile_id, letter, name == BACKWARD)
        elif letter == "B":
            self._begin_phase(name, compile_id)
        elif letter == "E":
            self._end_phase(name)

    def _whole_compile(self, compile_id: str, letter: str, backward: bool) -> None:
        stack = self._threads.stack(self._thread)
        if letter == "B":
            event = self._begin_compile(compile_id, backward)
            stack.append(Phase(FRAME, event, sent=True))
        elif letter == "E":
            while stack and stack.pop().name != FRAME:
                pass  # what raised has not ended its phases
            self._end_compile(compile_id, backward)

    def _begin_phase(self, name: str, compile_id: Optional[str]) -> None:
        stack = self._threads.stack(self._thread)
        if not stack or len(stack) > 64:
            return  # outside any compile: the wrapper around it, or a worker's
        parent = _nearest_sent(stack)
        self._made += 1
        event = self._event(
            "p%d" % self._made,
            "phase",
            MAIN_PHASES.get(name, name),
            compile_id or parent.compile_id,
            parent_key=parent.key,
            function=parent.function,
            file=parent.file,
            line=parent.line,
        )
        phase = Phase(name, event, sent=name in MAIN_PHASES and self._room(stack))
        stack.append(phase)
        if phase.sent:
            self._sink.send(event)

    def _end_phase(self, name: str) -> None:
        stack = self._threads.stack(self._thread)
        if not any(phase.name == name for phase in stack):
            return
        while stack:
            phase = stack[-1]
            if phase.name == FRAME and name != FRAME:
                return
            stack.pop()
            if phase.name == name:
                break
        duration = self._at_ns - phase.event.start_ns
        if phase.sent or (duration >= MIN_PHASE_NS and self._room(stack)):
            parent_key = _nearest_sent(stack).key if stack else None
            self._sink.send(replace(phase.event, duration_ns=duration, parent_key=parent_key))

    def _room(self, stack: List[Phase]) -> bool:
        """Whether the compile that holds these phases may tell of another."""
        root = self._compiles.get(stack[0].event.key.partition(AGAIN)[0]) if stack else None
        if root is None:
            return True
        root.phases += 1
        return root.phases <= MAX_PHASES

    # --- breaks, recompiles, caches -------------------------------------------------------------

    def _artifact(self, name: str, metadata: Dict[str, Any], payload: str) -> None:
        if name == "dynamo_graph_break_reason":
            self._graph_break(_compile_id(metadata), payload)
        elif name == "recompile_reasons":
            self._recompile(_compile_id(metadata), payload)
        else:
            subject, _, outcome = name.rpartition("_")
            if subject in CACHES and outcome in ("hit", "miss", "bypass"):
                self._cache(CACHES[subject], outcome, _compile_id(metadata), payload)

    def _graph_break(self, compile_id: Optional[str], payload: str) -> None:
        found = compile_text.graph_break(payload)
        function, file, line = self._place(compile_id)
        self._instant(
            "graph_break",
            found.reason.split(":", 1)[0] or "graph break",
            compile_id,
            function=found.function or function,
            file=found.file or file,
            line=found.line if found.file else line,
            reason=found.reason,
        )

    def _recompile(self, compile_id: Optional[str], payload: str) -> None:
        function, file, line = self._place(compile_id)
        self._instant(
            "recompile",
            function or "frame %s" % compile_id,
            compile_id,
            function=function,
            file=file,
            line=line,
            reason=compile_text.recompile_reason(payload),
        )

    def _cache(self, cache: str, outcome: str, compile_id: Optional[str], payload: str) -> None:
        function, file, line = self._place(compile_id)
        reason = compile_text.bypass_reason(payload) if outcome == "bypass" else None
        self._instant(
            "cache_" + outcome,
            cache,
            compile_id,
            function=function,
            file=file,
            line=line,
            reason=reason,
        )

    def _instant(self, kind: str, name: str, compile_id: Optional[str], **place: Any) -> None:
        self._made += 1
        stack = self._threads.stack(self._thread)
        parent = stack[0].event.key if stack else None
        event = self._event("i%d" % self._made, kind, name, compile_id, parent_key=parent, **place)
        self._sink.send(event)

    def _event(
        self, key: str, kind: str, name: str, compile_id: Optional[str], **more: Any
    ) -> CompileEvent:
        return CompileEvent(
            key=key,
            kind=kind,
            start_ns=self._at_ns,
            duration_ns=None,
            name=name[:200],
            compile_id=compile_id,
            step_index=self._sink.step_index(),
            **more,
        )

    def _place(
        self, compile_id: Optional[str]
    ) -> Tuple[Optional[str], Optional[str], Optional[int]]:
        if compile_id is None:
            return None, None, None
        return self._frames.get(_frame_id(compile_id), (None, None, None))

    def _file(self, filename: Any) -> Optional[str]:
        """File names come interned: by the number of an earlier `str` record."""
        if isinstance(filename, str):
            return filename
        if not isinstance(filename, int):
            return None
        found = self._strings.get(filename)
        return found if found is not None else self._interned(filename)


def _compile_id(metadata: Dict[str, Any]) -> Optional[str]:
    """`0/1`: the frame and how often it has been compiled; `!2/0/1` under compiled autograd."""
    frame, times = metadata.get("frame_id"), metadata.get("frame_compile_id")
    autograd = metadata.get("compiled_autograd_id")
    prefix = "" if autograd is None else "!%s/" % autograd
    if frame is None or times is None:
        return prefix[:-1] or None
    return "%s%s/%s" % (prefix, frame, times)


def _nearest_sent(stack: List[Phase]) -> CompileEvent:
    """The innermost phase that the recorder knows; the first of a stack is a compile and sent."""
    return next((phase for phase in reversed(stack) if phase.sent), stack[0]).event


def _frame_id(compile_id: str) -> str:
    return compile_id.rpartition("/")[0]
