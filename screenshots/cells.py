"""A screen of the viewer as SVG, cell by cell.

Textual's own export places runs of text and leaves their width to the font, which shears charts
wherever another font is used. Here each cell has its place, and block elements are rectangles, as
terminals draw them. Owns the drawing alone; the cells are the viewer's.
"""

from __future__ import annotations

from html import escape
from typing import Any

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual.app import App

WIDTH, HEIGHT, MARGIN = 10, 21, 12
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
FONT_SIZE = 16
BACKGROUND = "#1b1b1b"
LOWER_BLOCKS = "▁▂▃▄▅▆▇█"
LEFT_BLOCKS = "▏▎▍▌▋▊▉"


def svg_of(app: App[Any]) -> str:
    """What the application shows now."""
    columns, rows = app.size
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="{FONT}" font-size="{FONT_SIZE}" xml:space="preserve">',
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
    ]
    strips = app.screen._compositor.render_strips()
    for row, strip in enumerate(strips):
        column = 0
        for text, style, _ in strip:
            for character in text:
                parts += _cell(app, character, style or Style(), column, row)
                column += cell_len(character)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _cell(app: App[Any], character: str, style: Style, column: int, row: int) -> list[str]:
    front, back = _hex(app, style.color, True), _hex(app, style.bgcolor, False)
    if style.reverse:
        front, back = back or BACKGROUND, front or "#d0d0d0"
    front = front or "#d0d0d0"
    x, y = MARGIN + column * WIDTH, MARGIN + row * HEIGHT
    parts = []
    if back is not None and back != BACKGROUND:
        parts.append(_rect(x, y, WIDTH * cell_len(character), HEIGHT, back))
    opacity = ' opacity="0.55"' if style.dim else ""
    if style.underline:
        parts.append(_rect(x, y + HEIGHT - 3, WIDTH, 1, front, opacity))
    if character in LOWER_BLOCKS:
        tall = HEIGHT * (LOWER_BLOCKS.index(character) + 1) / 8
        parts.append(_rect(x, y + HEIGHT - tall, WIDTH, tall, front, opacity))
    elif character in LEFT_BLOCKS:
        wide = WIDTH * (LEFT_BLOCKS.index(character) + 1) / 8
        parts.append(_rect(x, y, wide, HEIGHT, front, opacity))
    elif character == "│":
        parts.append(_rect(x + WIDTH / 2, y, 1, HEIGHT, front, opacity))
    elif character == "─":
        parts.append(_rect(x, y + HEIGHT / 2, WIDTH, 1, front, opacity))
    elif not character.isspace():
        bold = ' font-weight="bold"' if style.bold else ""
        parts.append(
            f'<text x="{x}" y="{y + HEIGHT - 5}" fill="{front}"{bold}{opacity}>'
            f"{escape(character)}</text>"
        )
    return parts


def _rect(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
        f'shape-rendering="crispEdges"{more}/>'
    )


def _hex(app: App[Any], color: Color | None, foreground: bool) -> str | None:
    """As the terminal's palette has it; None for its default."""
    if color is None or color.is_default:
        return None
    return color.get_truecolor(app.ansi_theme, foreground).hex
