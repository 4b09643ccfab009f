"""The steps and phases that a trace's own marks tell."""

from __future__ import annotations

from fwtop.importer.traced_steps import ImportedStep, steps
from fwtop.traces.model import ANNOTATION, DeviceStep, TraceWindow, Track

ENGINE = "autograd::engine::evaluate_function: AddmmBackward0"
MAIN, AUTOGRAD = 1, 2


def _track(thread: int, *events: tuple[str, int, int]) -> Track:
    """Of (name, start, end)."""
    track = Track(thread)
    for name, start, end in events:
        track.names.append(name)
        track.start_ns.append(start)
        track.duration_ns.append(end - start)
        track.kinds.append(ANNOTATION)
    track.arrange()
    return track


def _window(*tracks: Track, device_steps: tuple[DeviceStep, ...] = ()) -> TraceWindow:
    return TraceWindow(0, list(tracks), device_steps=list(device_steps))


def test_a_step_with_all_its_phases() -> None:
    trace = _window(
        _track(
            MAIN,
            ("ProfilerStep#7", 0, 100),
            ("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 10),
            ("Optimizer.zero_grad#SGD.zero_grad", 10, 12),
            ("aten::addmm", 12, 40),
            ("Optimizer.step#SGD.step", 80, 95),
        ),
        _track(AUTOGRAD, (ENGINE, 45, 55), (ENGINE, 58, 78)),
    )
    assert steps(trace) == [
        # 45 to 78 is one backward; forward is 12 to 45, with the loss
        ImportedStep(
            7, 0, 100, input_ns=10, forward_ns=33, backward_ns=33, optimizer_ns=15
        )
    ]  # fmt: skip


def test_gradient_accumulation_has_a_forward_before_each_backward() -> None:
    trace = _window(
        _track(
            MAIN,
            ("ProfilerStep#0", 0, 100),
            ("aten::addmm", 0, 20),
            ("aten::addmm", 41, 60),
            ("Optimizer.step#SGD.step", 80, 100),
        ),
        _track(AUTOGRAD, (ENGINE, 20, 40), (ENGINE, 60, 80)),
    )
    (step,) = steps(trace)
    assert (step.forward_ns, step.backward_ns, step.optimizer_ns) == (40, 40, 20)


def test_on_the_cpu_backward_runs_on_the_same_thread() -> None:
    trace = _window(
        _track(
            MAIN,
            ("ProfilerStep#0", 0, 100),
            ("aten::addmm", 10, 30),
            (ENGINE, 40, 50),
            ("aten::mm", 42, 48),
            (ENGINE, 52, 60),
        )
    )
    (step,) = steps(trace)
    assert (step.forward_ns, step.backward_ns) == (40, 20)


def test_a_phase_that_the_trace_never_marks_is_unknown() -> None:
    trace = _window(_track(MAIN, ("ProfilerStep#0", 0, 10), ("aten::add", 1, 2)))
    assert steps(trace) == [ImportedStep(0, 0, 10, None, None, None, None)]
    trace = _window(
        _track(
            MAIN,
            ("ProfilerStep#0", 0, 10), ("ProfilerStep#1", 10, 20),
            ("Optimizer.step#SGD.step", 15, 18),
        )
    )  # fmt: skip
    assert [step.optimizer_ns for step in steps(trace)] == [0, 3]


def test_without_marks_optimizer_steps_bound_them() -> None:
    trace = _window(
        _track(
            MAIN,
            ("aten::addmm", 5, 20),
            ("Optimizer.step#SGD.step", 40, 50),
            ("aten::addmm", 55, 60),
            ("Optimizer.step#SGD.step", 80, 90),
            ("aten::addmm", 95, 99),
        ),
        _track(AUTOGRAD, (ENGINE, 20, 40), (ENGINE, 60, 80)),
    )
    assert [(step.start_ns, step.duration_ns) for step in steps(trace)] == [(5, 45), (50, 40)]


def test_optimizers_that_step_together_are_one_step() -> None:
    """A GAN's two have a backward between them; two parameter groups' have not."""
    trace = _window(
        _track(
            MAIN,
            ("aten::addmm", 0, 20),
            ("Optimizer.step#SGD.step", 40, 44),
            ("Optimizer.step#Adam.step", 46, 50),
            ("Optimizer.step#SGD.step", 80, 84),
            ("Optimizer.step#Adam.step", 86, 90),
        ),
        _track(AUTOGRAD, (ENGINE, 20, 40), (ENGINE, 60, 80)),
    )
    assert [(step.start_ns, step.duration_ns) for step in steps(trace)] == [(0, 50), (50, 40)]


def test_a_device_s_own_steps() -> None:
    trace = _window(
        device_steps=(
            DeviceStep(1, 4, 100, 50), DeviceStep(0, 5, 50, 50), DeviceStep(0, 4, 0, 50),
            DeviceStep(0, -1, 0, 9),
        )
    )  # fmt: skip
    found = [(step.index, step.start_ns, step.duration_ns) for step in steps(trace)]
    assert found == [(4, 0, 50), (5, 50, 50)]


def test_a_number_on_several_threads_is_one_step() -> None:
    trace = _window(
        _track(MAIN, ("ProfilerStep#4", 0, 10)), _track(AUTOGRAD, ("ProfilerStep#4", 2, 5))
    )
    assert [(step.index, step.duration_ns) for step in steps(trace)] == [(4, 10)]


def test_nothing_bounds_a_step() -> None:
    assert steps(_window(_track(MAIN, ("aten::add", 0, 1)))) == []
    assert steps(_window()) == []
