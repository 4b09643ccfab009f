"""A process's place in a distributed run, as launchers tell it in the environment."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Optional

_LAUNCHERS = (
    ("RANK", "LOCAL_RANK", "WORLD_SIZE"),  # torchrun, accelerate, deepspeed
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "MPI_LOCALRANKID", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
)


class Place(NamedTuple):
    """Ranks count from 0; unknown is None."""

    rank: Optional[int]
    local_rank: Optional[int]
    world_size: Optional[int]


def from_environment(environ: Mapping[str, str]) -> Place:
    """The place by the first launcher that names a rank and more than one process."""
    for rank, local_rank, size in _LAUNCHERS:
        place = Place(
            _number(environ.get(rank)), _number(environ.get(local_rank)), _number(environ.get(size))
        )
        if place.rank is not None and (rank == "RANK" or (place.world_size or 1) > 1):
            return place
    return Place(None, None, None)


def _number(text: Optional[str]) -> Optional[int]:
    return int(text) if text is not None and text.isdigit() else None
