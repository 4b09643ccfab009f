"""Run in the interpreter that scripts get, as text after `-c`: what of a framework is there.

Standard library only, Python 3.9 and newer, like the probe. Argument: `python`, `torch` or
`tensorflow`. Prints one line of JSON after MARK, whatever else the imports print.
"""

import importlib
import importlib.util
import json
import sys
from typing import Any, Dict  # noqa: UP035 - Python 3.9

MARK = "fwtop-doctor:"
Answer = Dict[str, Any]  # noqa: UP006


def python() -> Answer:
    """The interpreter itself, and whether PYTHONPATH starts what lies there."""
    site = sys.modules.get("sitecustomize")
    return {
        "executable": sys.executable,
        "version": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "sitecustomize": getattr(site, "__file__", None),
        "found": [name for name in ("torch", "tensorflow", "jax") if _there(name)],
    }


def torch() -> Answer:
    """Version, devices, and the private names that windows and compile events lean on."""
    torch: Any = importlib.import_module("torch")
    autograd: Any = torch.autograd
    cuda = bool(torch.cuda.is_available())
    needed = ("_prepare_profiler", "_enable_profiler", "_disable_profiler", "ProfilerConfig")
    return {
        "version": torch.__version__,
        "cuda_built": torch.version.cuda,
        "hip_built": getattr(torch.version, "hip", None),
        "cuda_available": cuda,
        "devices": torch.cuda.device_count() if cuda else 0,
        "windows": all(hasattr(autograd, name) for name in needed),
        "kineto": bool(getattr(autograd, "kineto_available", lambda: False)()),
        "all_threads": _accepts(
            getattr(torch._C._profiler, "_ExperimentalConfig", None),
            profile_all_threads=True,
            trace_only=True,
        ),
        "steps": _has("torch.optim.optimizer", "register_optimizer_step_pre_hook"),
        "compile_events": _has("torch._logging._internal", "trace_log"),
    }


def tensorflow() -> Answer:
    """Version, devices, and the private profiler."""
    tensorflow: Any = importlib.import_module("tensorflow")
    profiler = "tensorflow.python.profiler.internal._pywrap_profiler"
    return {
        "version": tensorflow.__version__,
        "windows": _has(profiler, "ProfilerSession"),
        "devices": len(tensorflow.config.list_physical_devices("GPU")),
    }


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _has(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return False


def _accepts(kind: Any, **options: bool) -> bool:
    if kind is None:
        return False
    try:
        kind(**options)
    except TypeError:
        return False
    return True


if __name__ == "__main__":
    try:
        body = {"python": python, "torch": torch, "tensorflow": tensorflow}[sys.argv[1]]()
    except BaseException as error:  # whatever an import raises is the answer
        body = {"error": f"{type(error).__name__}: {error}"}
    sys.stdout.write(f"\n{MARK}{json.dumps(body)}\n")
    sys.stdout.flush()
