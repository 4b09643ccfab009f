"""torch and TensorFlow in one process, one after the other: whose steps, how many, by what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.profilers.collector import Collector
from tests.profilers.tensorflow.scripts import EAGER, train, why_not

pytestmark = [pytest.mark.tensorflow, pytest.mark.torch]

COUNT = 10
TURNS = (
    "import torch\n"
    + EAGER
    + """
line = torch.nn.Linear(4, 1)
descent = torch.optim.SGD(line.parameters(), 0.01)
batch = torch.ones(8, 4), torch.ones(8, 1)

def with_torch():
    for _ in range(10):
        descent.zero_grad()
        ((line(batch[0]) - batch[1]) ** 2).mean().backward()
        descent.step()

how = sys.argv[1]
if how == "traced":
    step = tf.function(step)
if how == "fit":
    model.compile("sgd", "mse")

def with_tensorflow():
    if how == "fit":
        model.fit(x, y, batch_size=8, verbose=0)
    else:
        for _ in range(10):
            step(x[:8], y[:8])

for turn in sys.argv[2]:
    with_torch() if turn == "p" else with_tensorflow()
"""
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def sources(collector: Collector) -> list[tuple[str, str]]:
    return [(said["source"], said["detail"]) for said in collector.messages("StepSource")]


@pytest.mark.parametrize("how", ["eager", "traced", "fit"])
def test_no_step_is_lost_where_the_framework_changes(collector: Collector, how: str) -> None:
    if why_not("torch"):
        pytest.skip(why_not("torch"))
    train(collector, TURNS, how, "ptpt")
    assert len(collector.steps()) == 4 * COUNT
    assert [step["index"] for step in collector.steps()] == list(range(4 * COUNT))
    optimizer, fit = ("optimizer", ""), ("batch", "Keras fit")
    assert sources(collector) == ([optimizer, fit] * 2 if how == "fit" else [optimizer])


@pytest.mark.parametrize(
    ("how", "turns", "whose"),
    [("traced", "pt", {"tensorflow": "optimizer"}), ("fit", "tp", {"torch": "optimizer"})],
)
def test_the_framework_whose_steps_are_counted_says_so(
    collector: Collector, how: str, turns: str, whose: dict[str, str]
) -> None:
    if why_not("torch"):
        pytest.skip(why_not("torch"))
    train(collector, TURNS, how, turns)
    latest = {said["name"]: said["hooks"] for said in collector.messages("Framework")}
    assert {name: hooks["steps"] for name, hooks in latest.items() if "steps" in hooks} == whose
    assert latest["keras"]["backend"] == "tensorflow"
