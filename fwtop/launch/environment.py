"""The environment: what the script gets added to its own, and which of it is recorded.

Owns the names of the variables that go into a recording. Must never let a secret in: a recording is
mailed around.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from fwtop.launch.spec import LaunchSpec
from fwtop.run_folder import RunFolder

RECORDED_PREFIXES = (
    "CUDA_", "CUDNN_", "CUBLAS_", "NCCL_", "NVIDIA_", "GLOO_", "UCX_", "OMP_", "MKL_", "KMP_",
    "OPENBLAS_", "NUMEXPR_", "GOMP_", "TF_", "TORCH", "PYTORCH_", "XLA_", "JAX_", "KERAS_",
    "TRITON_", "ROCR_", "HIP_", "HSA_", "ACCELERATE_", "MALLOC_", "TOKENIZERS_",
)  # fmt: skip
RECORDED_NAMES = frozenset(
    {
        "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK",
        "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NNODES",
        "SLURM_NTASKS", "SLURM_CPUS_PER_TASK", "LD_PRELOAD", "PYTHONUNBUFFERED", "PYTHONHASHSEED",
        "VIRTUAL_ENV", "CONDA_DEFAULT_ENV",
    }
)  # fmt: skip
MAX_VALUE_CHARACTERS = 400

_SECRET_NAME = (
    r"(?<![A-Z])(?:API_?)?(?:KEY|TOKEN|PAT|AUTH)(?![A-Z])|SECRET|PASSW|CREDENTIAL|COOKIE|BEARER"
)
_SECRET_VALUE = (
    r"://[^/\s]*@"  # a user and a password in an address
    r"|\b(?:sk|pk|hf|ghp|gho|ghs|glpat|xox[abprs]|AKIA|ASIA|eyJ)[-_]?[A-Za-z0-9_\-.]{12,}"
    r"|(?<![A-Za-z0-9/+_.-])(?=[A-Za-z+_-]*[0-9])[A-Za-z0-9+_-]{32,}={0,2}(?![A-Za-z0-9/+_.-])"
)
_DEVICE = r"(?:GPU-|MIG-)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
"""Device UUIDs are as long as a secret, and none."""


def recorded(environ: Mapping[str, str]) -> dict[str, str]:
    """The few variables that say how frameworks behave; what looks like a secret is left out."""
    return {
        name: value[:MAX_VALUE_CHARACTERS]
        for name, value in sorted(environ.items())
        if (name in RECORDED_NAMES or name.startswith(RECORDED_PREFIXES))
        and not re.search(_SECRET_NAME, name.upper())
        and not re.search(_SECRET_VALUE, re.sub(_DEVICE, "", value))
    }


def for_script(environ: Mapping[str, str], spec: LaunchSpec, folder: RunFolder) -> dict[str, str]:
    """The script's environment: the user's own, the probe's start and its settings."""
    path = environ.get("PYTHONPATH")
    bootstrap = str(bootstrap_folder())
    return {
        **environ,
        "PYTHONPATH": bootstrap if not path else bootstrap + os.pathsep + path,
        "FWTOP_SOCKET": str(folder.probe_socket),
        "FWTOP_WINDOWS": str(folder.windows),
        "FWTOP_RUN_ID": spec.run_id,
        "FWTOP_OVERHEAD": repr(spec.budget_ratio),
        "FWTOP_DEEP": "1" if spec.deep else "0",
        "FWTOP_STEP_ON": spec.step_on,
    }


def bootstrap_folder() -> Path:
    """The folder whose sitecustomize starts the probe; without importing anything of the probe's.

    Raises FileNotFoundError if fwtop's installation lacks it.
    """
    package = Path(__file__).resolve().parent.parent
    for root in (package.parent, package.parent / "profilers"):
        folder = root / "fwtop_profilers" / "bootstrap"
        if (root / "fwtop_profilers" / "__init__.py").is_file():
            return folder
    raise FileNotFoundError(f"fwtop_profilers is not beside {package}")
