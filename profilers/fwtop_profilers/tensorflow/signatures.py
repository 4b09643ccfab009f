"""What changed between two signatures of a tf.function, in the words of whoever called it.

Owns the comparison of TensorFlow's trace types, by what they are called and what they hold; imports
nothing of TensorFlow. A type it does not know is compared and shown as text.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Tuple

MAX_TEXT = 120
MAX_CHANGES = 6


def cause(new: Any, earlier: Iterable[Any]) -> Optional[str]:
    """Why `new` (a FunctionType) was not served by any of `earlier`: the nearest one's differences.

    None where there is no earlier one, '' where they are the same to look at.
    """
    nearest: Optional[List[str]] = None
    for old in earlier:
        found = changes(old, new)
        if nearest is None or len(found) <= len(nearest):  # of equally near ones the latest
            nearest = found
    if nearest is None:
        return None
    more = len(nearest) - MAX_CHANGES
    text = "; ".join(nearest[:MAX_CHANGES])
    return text + ("; and %d more" % more if more > 0 else "")


def changes(old: Any, new: Any) -> List[str]:
    """The differences of two FunctionTypes, one text each."""
    before, after = _constraints(old), _constraints(new)
    found: List[str] = []
    for name in after:
        if name not in before:
            found.append("%s: a new argument" % name)
        else:
            _compare(name, before[name], after[name], found)
    found += ["%s: no longer an argument" % name for name in before if name not in after]
    if not found and _captures(old) != _captures(new):
        found.append("what it captures from outside changed")
    return found


def describe(function_type: Any) -> str:
    """The arguments of a FunctionType: `x: float32 (4, 3), training: True`."""
    parts = ["%s: %s" % (name, _text(kind)) for name, kind in _constraints(function_type).items()]
    return ", ".join(parts)[:400]


def _constraints(function_type: Any) -> Dict[str, Any]:
    return {
        name: getattr(parameter, "type_constraint", None)
        for name, parameter in function_type.parameters.items()
        if name != "self"
    } or {
        name: getattr(parameter, "type_constraint", None)
        for name, parameter in function_type.parameters.items()
    }


def _captures(function_type: Any) -> List[Tuple[str, str]]:
    captures = getattr(function_type, "captures", None) or {}
    return [(str(name), str(kind)) for name, kind in captures.items()]


def _compare(name: str, old: Any, new: Any, found: List[str]) -> None:
    if old == new:
        return
    before, after = _parts(old), _parts(new)
    if before is not None and after is not None and type(old) is type(new):
        if list(before) == list(after):
            for part in after:
                _compare(name + part, before[part], after[part], found)
            return
        found.append("%s: %d parts -> %d" % (name, len(before), len(after)))
        return
    if _is_tensor(old) and _is_tensor(new):
        _compare_tensors(name, old, new, found)
        return
    if _is_value(old) and _is_value(new):
        found.append("%s: python value %s -> %s" % (name, _text(old), _text(new)))
        return
    if type(old).__name__ == type(new).__name__ == "Weakref":
        found.append("%s: a new object" % name)
        return
    found.append("%s: %s -> %s" % (name, _text(old), _text(new)))


def _compare_tensors(name: str, old: Any, new: Any, found: List[str]) -> None:
    count = len(found)
    if old.shape != new.shape or str(old.shape) != str(new.shape):
        relaxed = " (relaxed)" if _relaxes(old.shape, new.shape) else ""
        found.append("%s: shape %s -> %s%s" % (name, _shape(old), _shape(new), relaxed))
    if old.dtype != new.dtype:
        found.append("%s: dtype %s -> %s" % (name, old.dtype.name, new.dtype.name))
    if len(found) == count:
        found.append("%s: %s -> %s" % (name, _text(old), _text(new)))


def _relaxes(old: Any, new: Any) -> bool:
    if old.rank is None or new.rank is None or old.rank != new.rank:
        return new.rank is None
    pairs = zip(tuple(old), tuple(new))  # noqa: B905 (Python 3.9)
    return any(after is None and before is not None for before, after in pairs)


def _parts(kind: Any) -> Optional[Dict[str, Any]]:
    """The components of a structured type by how one writes them; None for a plain one."""
    name = type(kind).__name__
    if name == "Tuple":
        return {"[%d]" % at: part for at, part in enumerate(kind.components)}
    if name == "List":
        return _parts(kind.components_tuple)
    if name == "Dict":
        return {"[%r]" % key: part for key, part in kind.mapping.items()}
    if name == "NamedTuple":
        names = ["." + attribute for attribute in kind.attribute_names]
        return dict(zip(names, kind.attributes.components))  # noqa: B905
    return None


def _is_tensor(kind: Any) -> bool:
    return hasattr(kind, "dtype") and hasattr(getattr(kind, "shape", None), "rank")


def _is_value(kind: Any) -> bool:
    return type(kind).__name__ == "Literal"


def _shape(tensor: Any) -> str:
    return "unknown" if tensor.shape.rank is None else str(tuple(tensor.shape))


def _text(kind: Any) -> str:
    if _is_tensor(kind):
        return "%s %s" % (kind.dtype.name, _shape(kind))
    if _is_value(kind):
        return repr(kind.value)[:MAX_TEXT]
    parts = _parts(kind)
    if parts is not None:
        return "(%s)" % ", ".join(_text(part) for part in parts.values())[:MAX_TEXT]
    return str(kind)[:MAX_TEXT]
