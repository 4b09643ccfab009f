"""How figures read, in every view: three significant digits, one unit, and `–` for the unknown.

Owns text and its width in terminal cells; knows no colour, no widget and no table.
"""

from __future__ import annotations

import shlex
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from math import isfinite
from pathlib import PurePath

UNKNOWN = "–"
ELLIPSIS = "…"

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400
_DURATION_UNITS = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))
_LONGEST_PLAIN_NS = 99_950_000_000
"""From here, seconds alone are hard to read: 1m 40s."""
_BYTE_UNITS = tuple((1 << (10 * power), unit) for power, unit in
                    enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB")))  # fmt: skip
_COUNT_UNITS = ((1, ""), (1_000, "k"), (1_000_000, "M"), (1_000_000_000, "G"),
                (1_000_000_000_000, "T"))  # fmt: skip


def format_duration(duration_ns: float | None) -> str:
    """`987 ns`, `9.87 ms`, `12.3 s`, `2m 05s`, `3h 12m`, `2d 03h`."""
    if duration_ns is None or not isfinite(duration_ns):
        return UNKNOWN
    if duration_ns < 0:
        return f"-{format_duration(-duration_ns)}"
    if duration_ns < _LONGEST_PLAIN_NS:
        return _scaled(duration_ns, _DURATION_UNITS)
    seconds = round(duration_ns / 1e9)
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S}m {seconds % _MINUTE_S:02}s"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S}h {seconds % _HOUR_S // _MINUTE_S:02}m"
    return f"{seconds // _DAY_S}d {seconds % _DAY_S // _HOUR_S:02}h"


def format_time_of_run(at_ns: int | None) -> str:
    """A moment on the run's time axis: `0:00:05`, `26:03:00`."""
    if at_ns is None:
        return UNKNOWN
    seconds = max(0, at_ns) // 1_000_000_000
    return f"{seconds // _HOUR_S}:{seconds % _HOUR_S // _MINUTE_S:02}:{seconds % _MINUTE_S:02}"


def format_moment(unix_ns: int | None) -> str:
    """A moment of the wall clock, in the local time zone: `2026-11-23 10:11`."""
    if unix_ns is None:
        return UNKNOWN
    try:
        return f"{datetime.fromtimestamp(unix_ns // 1_000_000_000):%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # a time that no calendar has
        return UNKNOWN


def format_bytes(size_bytes: float | None) -> str:
    """In binary units: `512 B`, `1.50 KiB`, `23.4 GiB`."""
    if size_bytes is None:
        return UNKNOWN
    if size_bytes < 0:
        return f"-{format_bytes(-size_bytes)}"
    return _scaled(size_bytes, _BYTE_UNITS)


def format_bytes_per_s(bytes_per_s: float | None) -> str:
    """`1.50 MiB/s`."""
    return UNKNOWN if bytes_per_s is None else f"{format_bytes(bytes_per_s)}/s"


def format_ratio(ratio: float | None) -> str:
    """A ratio of 1 as `100 %`: `0.12 %`, `12.3 %`, `<0.01 %`, `0 %`."""
    if ratio is None or not isfinite(ratio * 100):
        return UNKNOWN
    if ratio < 0:
        return f"-{format_ratio(-ratio)}"
    percent = ratio * 100
    if percent == 0:
        return "0 %"
    if percent < 0.01:
        return "<0.01 %"
    if percent < 1:
        return f"{percent:.2f} %"
    return f"{_three_digits(percent) if percent < 99.95 else format(round(percent), ',')} %"


def format_rate(per_s: float | None, what: str = "") -> str:
    """Per second, of what is counted: `101 steps/s`, `3.23 k samples/s`, `0.25 /s`."""
    if per_s is None:
        return UNKNOWN
    return f"{format_short_count(per_s, always_digits=True)} {what}/s"


def format_count(count: int | None) -> str:
    """In full: `1,234,567`."""
    return UNKNOWN if count is None else f"{count:,}"


def format_short_count(count: float | None, *, always_digits: bool = False) -> str:
    """Three digits: `999`, `1.23 k`, `45.6 M`. Whole numbers below 1,000 stay whole."""
    if count is None:
        return UNKNOWN
    if count < 0:
        return f"-{format_short_count(-count, always_digits=always_digits)}"
    if count < 1000 and count == int(count) and not always_digits:
        return str(int(count))
    return _scaled(count, _COUNT_UNITS, whole_first=False)


def format_flops(flops: float | None) -> str:
    """Floating point operations: `45.6 GFLOP`, `999 FLOP`."""
    if flops is None:
        return UNKNOWN
    units = tuple((scale, f"{unit}FLOP") for scale, unit in _COUNT_UNITS)
    return _scaled(flops, units, whole_first=True)


def format_flops_per_s(flops_per_s: float | None) -> str:
    """`1.23 TFLOP/s`."""
    return UNKNOWN if flops_per_s is None else f"{format_flops(flops_per_s)}/s"


def format_hertz(frequency_hz: float | None) -> str:
    """`1.41 GHz`, `810 MHz`."""
    if frequency_hz is None:
        return UNKNOWN
    units = tuple((scale, f"{unit}Hz") for scale, unit in _COUNT_UNITS)
    return _scaled(frequency_hz, units, whole_first=False)


def format_watts(power_w: float | None) -> str:
    """Whole watts: `245 W`."""
    return UNKNOWN if power_w is None else f"{power_w:.0f} W"


def format_celsius(temperature_c: float | None) -> str:
    """Whole degrees: `63 °C`."""
    return UNKNOWN if temperature_c is None else f"{temperature_c:.0f} °C"


def format_figure(value: float | None, unit: str) -> str:
    """A figure by its unit's name, one of `analysis.comparison.model.UNITS`."""
    if value is None or not isfinite(value):
        return UNKNOWN
    if unit == "per_s":
        return format_rate(value)
    formats: dict[str, Callable[[float], str]] = {
        "ns": format_duration,
        "bytes": format_bytes,
        "ratio": format_ratio,
        "watts": format_watts,
        "celsius": format_celsius,
        "flops": format_flops,
        "flops_per_s": format_flops_per_s,
    }
    return formats.get(unit, format_short_count)(value)


def format_command(command: Sequence[str]) -> str:
    """The command as it was typed, its script without the folders before it."""
    script = next((at for at, word in enumerate(command) if word.endswith(".py")), 0)
    return printable(
        shlex.join(
            PurePath(word).name or word if at in (0, script) else word
            for at, word in enumerate(command)
        )
    )


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 step`, `1,200 steps`; `many` where adding an s is wrong."""
    return f"{format_count(count)} {one if count == 1 else many or one + 's'}"


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey: recordings come from anywhere."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "�"
        for character in text
    )


@lru_cache(maxsize=4096)
def cell_width(text: str) -> int:
    """Terminal cells that a text takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def ellipsis(text: str, cells: int) -> str:
    """The text in at most `cells` cells, its end replaced by `…` where it is longer."""
    if cell_width(text) <= cells:
        return text
    return _head(text, cells - 1) + ELLIPSIS if cells > 0 else ""


def ellipsis_start(text: str, cells: int) -> str:
    """As `ellipsis`, with the start replaced: the end of a path says most."""
    if cell_width(text) <= cells:
        return text
    return ELLIPSIS + _head(text[::-1], cells - 1)[::-1] if cells > 0 else ""


def ellipsis_middle(text: str, cells: int) -> str:
    """As `ellipsis`, with the middle replaced: names whose start and end both tell."""
    if cell_width(text) <= cells:
        return text
    if cells < 3:
        return ellipsis(text, cells)
    tail = (cells - 1) // 2
    return _head(text, cells - 1 - tail) + ELLIPSIS + _head(text[::-1], tail)[::-1]


def pad(text: str, cells: int, *, right: bool = False) -> str:
    """The text cut or padded to exactly `cells` cells, at the left or, `right`, at the right."""
    text = ellipsis(text, cells)
    space = " " * (cells - cell_width(text))
    return space + text if right else text + space


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most `columns`, at least one."""
    return textwrap.wrap(text, columns, break_on_hyphens=False) or [""]


def _scaled(value: float, units: tuple[tuple[int, str], ...], *, whole_first: bool = True) -> str:
    """Three significant digits in the largest unit that leaves at least 1 (after rounding)."""
    chosen = 0
    while chosen + 1 < len(units) and value >= units[chosen + 1][0] * 0.9995:
        chosen += 1
    scale, unit = units[chosen]
    scaled = value / scale
    digits = str(round(scaled)) if chosen == 0 and whole_first else _three_digits(scaled)
    return f"{digits} {unit}".rstrip()


def _three_digits(value: float) -> str:
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _head(text: str, cells: int) -> str:
    taken = 0
    for position, character in enumerate(text):
        taken += _character_width(character)
        if taken > cells:
            return text[:position]
    return text
