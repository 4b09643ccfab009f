"""Plots as inline SVG. They stretch with the page, so labels stand beside them as HTML.

The x axis is 0..1000 and the y axis 0..`HEIGHT`, downwards; strokes keep their width however the
plot is stretched. A plot's figures go along as data, for the script's read-out under the pointer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

from fwtop.export.html.markup import Content, Markup, data, el
from fwtop.formatting import UNKNOWN, format_duration, format_time_of_run

WIDTH = 1000
HEIGHT = 200
_TICKS = 5

Format = Callable[[float | None], str]


@dataclass(frozen=True)
class Series:
    """One line or one layer: a name, a class of the style sheet, and a value a point."""

    name: str
    style: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Spans:
    """The points of a plot as stretches of the x axis, in ns of the run."""

    starts: Sequence[int]
    ends: Sequence[int]
    first: int
    last: int

    def x(self, at: int) -> float:
        """Where a moment lies."""
        return round((at - self.first) / max(1, self.last - self.first) * WIDTH, 1)


def nice(value: float, binary: bool = False) -> float:
    """The next round number, where an axis may end; for bytes in binary units."""
    if value <= 0 or not isfinite(value):
        return 1.0
    if binary:
        scale = 1
        while value / scale > 1024:
            scale *= 1024
        return nice(value / scale) * scale if value / scale <= 1000 else scale * 1024
    power = float(10 ** floor(log10(value)))
    return next(
        step * power
        for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
        if step * power >= value * 0.9999
    )


def stacked(
    title: str,
    spans: Spans,
    layers: Sequence[Series],
    over: Sequence[Series],
    top: float,
    format: Format,
    unit: str,
    ticks: Iterable[tuple[int, str]] = (),
) -> Markup:
    """Layers upon each other, with levels over them and ticks at moments; cut off at `top`."""
    below = [0.0] * len(spans.starts)
    drawn = []
    for layer in layers:
        parts = []
        for i, value in enumerate(layer.values):
            if value:
                low, below[i] = below[i], below[i] + value
                left, right = spans.x(spans.starts[i]), spans.x(spans.ends[i])
                width = max(0.3, right - left)
                y, base = _y(below[i], top), _y(low, top)
                if base > y:
                    parts.append(f"M{left} {base}V{y}h{width:.1f}V{base}z")
        drawn.append(el("path", class_=f"area {layer.style}", d="".join(parts)))
    drawn += [_levels(spans, series, top) for series in over]
    marks = [
        el("line", el_title(text), class_="tick", x1=spans.x(at), x2=spans.x(at), y1=0, y2=HEIGHT)
        for at, text in ticks
    ]
    return _plot(title, spans, (*layers, *over), (*drawn, *marks), top, format, unit)


def lines(
    title: str, spans: Spans, series: Sequence[Series], top: float, format: Format, unit: str
) -> Markup:
    """Lines; what is not known is a gap."""
    return _plot(title, spans, series, [_line(spans, one, top) for one in series], top, format,
                 unit)  # fmt: skip


def bars(
    title: str, heights: Sequence[float], labels: Sequence[str], tips: Sequence[str],
    marks: Iterable[tuple[float, str]] = (),
) -> Markup:  # fmt: skip
    """A histogram: bars of equal width, labels evenly below, marks at shares of the width."""
    top = max(heights, default=0) or 1
    width = WIDTH / max(1, len(heights))
    drawn = [
        el("rect", class_="bar", x=round(i * width, 1), y=_y(height, top), width=round(width, 1),
           height=round(HEIGHT - _y(height, top), 1), data_tip=tip)
        for i, (height, tip) in enumerate(zip(heights, tips, strict=True))
        if height
    ]  # fmt: skip
    for share, text in marks:
        x = round(share * WIDTH, 1)
        drawn.append(el("line", class_="tick", x1=x, x2=x, y1=0, y2=HEIGHT, data_tip=text))
    return el(
        "figure",
        el("figcaption", title),
        el("div", _svg(title, drawn), class_="plot"),
        el("div", (el("span", label) for label in labels), class_="xaxis"),
        class_="chart histogram",
    )


def share_bar(parts: Sequence[tuple[str, str, float, str]], title: str) -> Markup:
    """One bar of parts (name, style, ratio, text), with a legend."""
    at, drawn = 0.0, []
    for name, style, ratio, text in parts:
        drawn.append(
            el("rect", class_=f"area {style}", x=round(at * WIDTH, 1), y=0,
               width=round(ratio * WIDTH, 1), height=20, data_tip=f"{name}: {text}")
        )  # fmt: skip
        at += ratio
    svg = el("svg", drawn, viewBox=f"0 0 {WIDTH} 20", preserveAspectRatio="none", role="img",
             aria_label=title, class_="sharebar")  # fmt: skip
    items = (
        el("li", swatch(style), el("span", name), el("b", text)) for name, style, _, text in parts
    )
    return el("figure", el("figcaption", title), svg, el("ul", items, class_="legend"),
              class_="chart")  # fmt: skip


def meter(ratio: float, style: str = "bar") -> Markup:
    """A small bar for a table's cell."""
    ratio = min(1.0, max(0.0, ratio))
    return el(
        "svg",
        el("rect", class_="ground", x=0, y=0, width=100, height=8),
        el("rect", class_=f"area {style}", x=0, y=0, width=round(ratio * 100, 1), height=8),
        viewBox="0 0 100 8", preserveAspectRatio="none", class_="meter", aria_hidden="true",
    )  # fmt: skip


def swatch(style: str) -> Markup:
    """A colour's sample for a legend."""
    return el(
        "svg", el("rect", class_=f"area {style}", x=0, y=0, width=10, height=10),
        viewBox="0 0 10 10", class_="swatch", aria_hidden="true",
    )  # fmt: skip


def el_title(text: str) -> Markup:
    """What a browser shows of a shape by itself."""
    return el("title", text)


def _levels(spans: Spans, series: Series, top: float) -> Markup:
    """A level for each stretch, not joined to the next: between them is nothing."""
    parts = [
        f"M{spans.x(start)} {_y(value, top)}H{spans.x(end)}"
        for start, end, value in zip(spans.starts, spans.ends, series.values, strict=True)
        if value is not None
    ]
    return el("path", class_=f"stroke {series.style}", d="".join(parts))


def _line(spans: Spans, series: Series, top: float) -> Markup:
    parts, pen_down = [], False
    for start, end, value in zip(spans.starts, spans.ends, series.values, strict=True):
        if value is None or not isfinite(value):
            pen_down = False
            continue
        x = spans.x((start + end) // 2)
        parts.append(f"{'L' if pen_down else 'M'}{x} {_y(value, top)}")
        if not pen_down:
            parts.append("h0")  # a point alone shows as well
        pen_down = True
    return el("path", class_=f"stroke {series.style}", d="".join(parts))


def _y(value: float, top: float) -> float:
    return round(HEIGHT * (1 - min(1.0, max(0.0, value / top))), 1)


def _plot(
    title: str,
    spans: Spans,
    series: Sequence[Series],
    drawn: Iterable[Markup],
    top: float,
    format: Format,
    unit: str,
) -> Markup:
    grid = [
        el("line", class_="grid", x1=0, x2=WIDTH, y1=HEIGHT * n // 2, y2=HEIGHT * n // 2)
        for n in range(3)
    ]
    axis = [el("span", format(top * n / 2) if n else "0") for n in (2, 1, 0)]
    step = (spans.last - spans.first) / (_TICKS - 1)
    times = [el("span", _moment(spans.first + step * n, step)) for n in range(_TICKS)]
    figures = {
        "unit": unit,
        "x": [[round((at - spans.first) / 1e6, 1) for at in edge]
              for edge in (spans.starts, spans.ends)],
        "first": spans.first / 1e6,
        "width": (spans.last - spans.first) / 1e6,
        "series": [{"name": one.name, "values": [_short(v) for v in one.values]}
                   for one in series],
    }  # fmt: skip
    legend: Content = None
    if len(series) > 1:
        items = (el("li", swatch(one.style), el("span", one.name)) for one in series)
        legend = el("ul", items, class_="legend")
    return el(
        "figure",
        el("figcaption", title, el("output", UNKNOWN, class_="readout", hidden=True)),
        el("div", el("div", axis, class_="yaxis"), el("div", _svg(title, [*grid, *drawn]),
           class_="plot"), class_="withaxis"),
        el("div", times, class_="xaxis"),
        legend,
        data(figures, class_="figures"),
        class_="chart time",
    )  # fmt: skip


def _moment(at_ns: float, step_ns: float) -> str:
    """A label of the time axis: finer than seconds where labels are closer than that."""
    if step_ns < 2e9:
        return format_duration(at_ns) if at_ns else "0"
    return format_time_of_run(round(at_ns))


def _short(value: float | None) -> float | None:
    """Four significant digits are what a read-out shows."""
    if value is None or not isfinite(value):
        return None
    return float(f"{value:.4g}") if abs(value) < 1e4 else round(value)


def _svg(title: str, drawn: Iterable[Markup]) -> Markup:
    return el("svg", drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none",
              role="img", aria_label=title)  # fmt: skip
