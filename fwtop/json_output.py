"""JSON for other programs to read: always valid UTF-8, whatever the run was called."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def encode(value: Any) -> bytes:
    """Dataclasses and structs as JSON on one line, without its end.

    A file name or an argument that is no UTF-8 is a `str` with lone surrogates, which no encoder
    takes: `?` stands for each.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        plain = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))
        return plain.encode("utf-8", "replace")
