"""Starts fwtop's probe, then gives way to the user's own sitecustomize.

This folder is the first on PYTHONPATH, so that Python's `site` finds this module. It leaves
`sys.path` (but not the environment: children need it too), loads `fwtop_profilers` from where it
lies, and then has the next `sitecustomize` imported, whose errors `site` reports as ever.
"""

from __future__ import annotations

import sys


def _load_probe(folder: str) -> None:
    """`fwtop_profilers` from its own place: the script's interpreter may know nothing of fwtop."""
    from _frozen_importlib import ModuleSpec, module_from_spec
    from _frozen_importlib_external import SourceFileLoader  # no import of importlib.util: 4 ms

    name = "fwtop_profilers"
    path = folder + "/__init__.py"
    loader = SourceFileLoader(name, path)
    spec = ModuleSpec(name, loader, origin=path, is_package=True)
    spec.has_location = True
    spec.submodule_search_locations = [folder]
    module = module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    from fwtop_profilers import startup

    startup.start()


def _start() -> None:
    here = __file__.rpartition("/")[0]
    sys.path[:] = [folder for folder in sys.path if folder.rstrip("/") != here]
    try:
        _load_probe(here.rpartition("/")[0])
    except Exception:  # the script runs as if fwtop were not there; there is nobody to tell yet
        sys.modules.pop("fwtop_profilers", None)


def _give_way() -> None:
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
        if own is not None:  # there is no other; the import that runs us expects to find one
            sys.modules["sitecustomize"] = own


_start()
_give_way()
