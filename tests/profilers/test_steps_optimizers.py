"""Which optimizer steps make one training step: several of them, scalers, closures, compiled."""

from __future__ import annotations

import pytest

from tests.profilers.step_script import ADAM, MS, D, G, Script, phases, script

pytestmark = pytest.mark.usefixtures("told")


def gan_iteration(run: Script) -> None:
    run.fetch()
    run.spend(10)
    run.backward()
    run.optimize(D)
    run.spend(10)
    run.backward()
    run.optimize(G)


def test_gan_is_one_step_an_iteration() -> None:
    run = script()
    for _ in range(5):
        gan_iteration(run)
    assert run.durations() == [71] * 5
    assert {phases(record) for record in run.records()} == {(1, 20, 40, 10)}
    assert run.events[-2:] == [("end", 4), ("begin", 5)]


def test_two_optimizers_after_one_backward() -> None:
    run = script()
    for _ in range(4):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(D)
        run.optimize(G)
    assert run.durations() == [41] * 4


def test_wgan_counts_critic_updates() -> None:
    run = script()
    for iteration in range(15):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(D)
        if iteration % 5 == 4:
            run.spend(10)
            run.backward()
            run.optimize(G)
    assert len(run.records()) == 15
    assert sum(run.durations()) == 15 * 36 + 3 * 35 - (run.now - run.records()[-1].end_ns) / MS


def test_a_discriminator_that_starts_later() -> None:
    run = script()
    for _ in range(5):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(G)
    for _ in range(6):
        run.fetch()
        run.spend(10)
        run.backward()
        run.optimize(G)
        run.spend(10)
        run.backward()
        run.optimize(D)
    assert run.durations()[-4:] == [71] * 4
    assert len(run.records()) in (10, 11)
    assert sum(run.durations()) == 5 * 36 + 6 * 71


def test_an_optimizer_made_anew_goes_on_counting() -> None:
    run = script()
    for key in (11, 12):
        run.tape.optimizer_made()
        for _ in range(5):
            run.fetch()
            run.spend(10)
            run.backward()
            run.optimize(key)
    assert run.durations() == [36] * 10


def test_parameters_in_groups_step_several_times_for_one_backward() -> None:
    run = script()
    for _ in range(5):
        run.fetch()
        run.spend(10)
        run.backward()
        for _ in range(3):
            run.optimize(ADAM)
    assert len(run.records()) == 5


def test_optimizers_that_step_inside_backward() -> None:
    run = script()
    for _ in range(4):
        run.fetch()
        run.spend(10)
        run.backward(inside=lambda: [run.optimize(key, 1) for key in range(50, 60)] and None)
    assert run.durations() == [41] * 4
    assert run.steps.source == "optimizer"


def test_optimizer_steps_on_autograd_threads() -> None:
    run = script()

    def elsewhere() -> None:
        run.thread = 2
        run.optimize(50, 1)
        run.thread = 1

    for _ in range(3):
        run.fetch()
        run.backward(inside=elsewhere)
    assert run.durations() == [22] * 3


def scaled(run: Script, skipped: bool) -> None:
    run.fetch()
    run.spend(10)
    run.backward()
    run.tape.scaler_begin(ADAM)
    run.spend(3)
    if not skipped:
        run.optimize(ADAM)
    run.tape.scaler_end(ADAM)


def test_a_skipped_step_is_a_step() -> None:
    run = script()
    for skipped in (True, False, False, True, False):
        scaled(run, skipped)
    assert [record.flags for record in run.records()] == [4, 0, 0, 4, 0]
    assert [phases(record)[3] for record in run.records()] == [3, 8, 8, 3, 8]


def test_a_scaler_that_raises_leaves_no_step_open() -> None:
    run = script()
    run.step()
    run.step()
    run.fetch()
    run.backward()
    run.tape.scaler_begin(ADAM)
    run.tape.scaler_end(ADAM, True)
    run.step()
    assert len(run.records()) == 3


def test_lbfgs_closure() -> None:
    run = script()

    def closure() -> None:
        for _ in range(3):
            run.spend(10)
            run.backward()

    for _ in range(3):
        run.fetch()
        run.optimize(inside=closure)
    assert {phases(record) for record in run.records()} == {(1, 30, 60, 5)}
    assert run.durations() == [96] * 3


def test_compiled_optimizer_steps_come_from_backward() -> None:
    run = script()
    for _ in range(4):
        for micro_batch in range(2):
            run.fetch()
            run.spend(10)
            run.updated = micro_batch == 0  # asked as the backward begins
            run.backward()
        run.spend(5)
    assert run.steps.source == "backward"
    assert len(run.records()) == 4
    assert {phases(record) for record in run.records()} == {(2, 20, 40, None)}
    assert run.durations() == [62, 67, 67, 67]  # the step that no hook sees is `other`


def test_an_optimizer_step_that_raises_leaves_the_tracker_whole() -> None:
    run = script()
    run.step()
    run.step()
    run.fetch()
    run.backward()
    run.tape.optimizer_begin(ADAM)
    run.step()
    run.step()
    assert len(run.records()) == 4
