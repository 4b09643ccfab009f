"""Packages that only some formats need: asked for when they are used, and told of in words."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from fwtop.export.source import ExportError

_PACKAGES = {"parquet": "pyarrow", "tensorboard": "tensorboardX"}


def need(module: str, extra: str) -> Any:
    """The module. Raises ExportError that says how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = _PACKAGES[extra]
        raise ExportError(
            f"the format {extra} needs the package {package}, which {sys.executable} does not have"
            if isinstance(error, ModuleNotFoundError)
            else f"the format {extra} needs {package}, which cannot be imported here: {error}",
            f"pip install 'fwtop[{extra}]', or with pipx: pipx inject fwtop {package}",
        ) from error
