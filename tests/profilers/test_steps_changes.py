"""Loops of different optimizers one after the other: at a change no step is lost, or counted twice.

Without a DataLoader nothing but the optimizers' own order says where an iteration begins.
"""

from __future__ import annotations

import pytest

from tests.profilers.step_script import ADAM, D, G, Script, script

pytestmark = pytest.mark.usefixtures("told")


SGD = 4


def iterate(run: Script, *optimizers: int) -> None:
    for key in optimizers:
        run.spend(10)
        run.backward()
        run.optimize(key)


@pytest.mark.parametrize(
    "loops",
    [
        [(ADAM,), (SGD,), (ADAM,)],
        [(D, G), (SGD,), (D, G)],
        [(ADAM,), (D, G), (ADAM,)],
    ],
)
@pytest.mark.parametrize("first_is_alone", [True, False])
def test_each_iteration_of_each_loop_is_a_step(
    loops: list[tuple[int, ...]], first_is_alone: bool
) -> None:
    run = script()
    if first_is_alone:
        run.tape.optimizer_made()
    for optimizers in loops:
        for _ in range(20):
            iterate(run, *optimizers)
        run.tape.optimizer_made()
    assert len(run.records()) == 60
    updates = sum(20 * len(optimizers) for optimizers in loops)
    assert sum(run.durations()) == 35 * updates - 10  # the first forward's begin is unknown


def test_an_optimizer_that_joins_every_other_iteration_makes_no_step_of_its_own() -> None:
    run = script()
    run.tape.optimizer_made()
    for _ in range(10):
        iterate(run, G)
        iterate(run, G, D)
    assert len(run.records()) == 20


def test_a_discriminator_that_starts_later_without_a_dataloader() -> None:
    run = script()
    run.tape.optimizer_made()
    for _ in range(5):
        iterate(run, G)
    for _ in range(10):
        iterate(run, G, D)
    assert len(run.records()) == 15
