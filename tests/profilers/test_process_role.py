"""Which processes introduce themselves when they import a framework."""

from __future__ import annotations

import pytest

from fwtop_profilers import ranks
from fwtop_profilers.process_role import is_users_script

TORCH = "/site-packages/torch"


@pytest.mark.parametrize(
    "argv",
    [
        "python train.py --lr 1",
        "python -u train.py",
        "python -X dev -W error train.py -m torch.distributed.run",
        "python -Wignore train.py",
        "python -m mypackage.train",
        "python -um mypackage.train",
        "python -c import_torch",
        "python",
        "python -m torchtune",
        "python /home/me/torch/train.py",
    ],
)
def test_the_users_script(argv: str) -> None:
    assert is_users_script(argv.split(), TORCH)


@pytest.mark.parametrize(
    "argv",
    [
        "python /env/bin/torchrun --nproc-per-node 2 train.py",
        "python -m torch.distributed.run train.py",
        "python -um torch.distributed.launch train.py",
        "python -mtorch.distributed.run train.py",
        "python -m accelerate.commands.launch train.py",
        "python /env/bin/accelerate launch train.py",
        "python -c from_multiprocessing.spawn_import_spawn_main --multiprocessing-fork pipe=5",
        "python -c from·multiprocessing.forkserver·import·main",
        "python /site-packages/torch/_inductor/compile_worker/__main__.py --kind fork",
    ],
)
def test_launchers_and_workers(argv: str) -> None:
    assert not is_users_script(argv.split(), TORCH)


def test_ranks_of_launchers() -> None:
    torchrun = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
    assert ranks.from_environment(torchrun) == (3, 1, 8)
    assert ranks.from_environment({"SLURM_PROCID": "2", "SLURM_NTASKS": "4"}) == (2, None, 4)
    assert ranks.from_environment({"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}) == (None, None, None)
    assert ranks.from_environment({"RANK": "nonsense"}) == (None, None, None)
