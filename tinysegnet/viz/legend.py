"""The legend: colour, name and share of every class, in as many columns as fit, drawn pixel by pixel with Pillow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..data.palette import Palette
from .canvas import EDGE, INK, MUTED, PAPER, load_font, text_width
from .overlay import hatch, is_class

__all__ = ["class_name", "legend_strip", "percent"]


@dataclass(frozen=True)
class LegendEntry:
    """One legend entry: a name in lines, its share as text, and what fills its swatch (None: the hatch)."""

    lines: tuple[str, ...]
    share: str
    color: tuple[int, int, int] | None


def legend_strip(
    palette: Palette, width: int, labels: np.ndarray | None = None, *, font_size: int = 14, void: bool = True
) -> np.ndarray:
    """A legend exactly `width` pixels wide and as high as it needs: (h, width, 3) uint8, dark on white.

    Long names are broken into lines; all columns are as wide as the widest entry.

    Args:
        palette: names and colours of the classes.
        width: pixels.
        labels: (H, W) class numbers: only classes that occur are listed, largest first, each with its share of all
            pixels. None: all classes in the palette's order.
        font_size: pixels.
        void: list the unlabelled pixels too, if there can be any.
    """
    font = load_font(font_size)
    swatch, gap = round(1.15 * font_size), round(0.5 * font_size)
    # One very long name must not cost all the others their columns, so a line of a name is at most 16 em wide.
    share_room = 0 if labels is None else gap + text_width("100.0 %", font)
    room = max(min(width - 3 * gap - swatch - share_room, 16 * font_size), font_size)
    entries = _entries(palette, labels, void, font, room)
    entry_width = swatch + gap + max((_entry_width(e, font, gap) for e in entries), default=0)
    column_gap = 2 * font_size
    columns = max(1, min(len(entries), (width - 2 * gap + column_gap) // (entry_width + column_gap)))
    columns = -(-len(entries) // max(1, -(-len(entries) // columns)))  # 12 in at most 10 columns: 6 + 6, not 10 + 2
    rows = [entries[i : i + columns] for i in range(0, len(entries), columns)]
    line = round(1.3 * font_size)
    heights = [max(len(e.lines) for e in row) * line + gap for row in rows]
    canvas = Image.new("RGB", (width, sum(heights) + 2 * gap), PAPER)
    # Columns start where a table of this width has them, so that the legend fills the strip evenly.
    step = (width - 2 * gap + column_gap) / columns if len(rows) > 1 else entry_width + column_gap
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            _draw_entry(
                canvas, entry, (gap + round(j * step), round(1.5 * gap) + sum(heights[:i])), font, swatch, gap, line
            )
    return np.asarray(canvas)


def class_name(palette: Palette, k: int) -> str:
    """The name of class k on one line; a class whose name is blank is "class k"."""
    return " ".join(palette.names[k].split()) or f"class {k}"


def percent(fraction: float) -> str:
    """0.3141 -> "31.4 %"; what would round to nothing is "< 0.1 %"."""
    return "< 0.1 %" if 0 < fraction < 0.0005 else f"{100 * fraction:.1f} %"


def _entries(
    palette: Palette, labels: np.ndarray | None, void: bool, font: ImageFont.FreeTypeFont, room: int
) -> list[LegendEntry]:
    """The entries in their order, names already broken into lines of at most `room` pixels."""
    colors = dict(enumerate(palette.colors))
    if labels is None:
        listed = [(k, "") for k in colors] + ([(-1, "")] if void and palette.ignore_label is not None else [])
    else:
        classes = np.where(is_class(labels, palette), labels.astype(np.int64), -1)
        counts = np.bincount(classes.ravel() + 1, minlength=palette.num_classes + 1)
        order = sorted(colors, key=lambda k: -counts[k + 1]) + ([-1] if void else [])
        listed = [(k, percent(counts[k + 1] / classes.size)) for k in order if counts[k + 1]]
    names = {k: class_name(palette, k) for k in colors} | {-1: "not labelled"}
    return [LegendEntry(_broken(names[k], font, room), share, colors.get(k)) for k, share in listed]


def _entry_width(entry: LegendEntry, font: ImageFont.FreeTypeFont, gap: int) -> int:
    """Width of the text of an entry: its name's widest line, and the share behind the last one if it has room."""
    share = gap + text_width(entry.share, font) if entry.share else 0
    return max(*(text_width(line, font) for line in entry.lines), text_width(entry.lines[-1], font) + share)


def _broken(text: str, font: ImageFont.FreeTypeFont, room: int) -> tuple[str, ...]:
    """Break text into lines of at most `room` pixels: at spaces if possible, within a word if need be."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}".strip()
        if text_width(joined, font) <= room:
            lines[-1] = joined
            continue
        lines += [""] * bool(lines[-1])
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, font) > room:
                lines.append("")
            lines[-1] += letter
    return tuple(lines)


def _draw_entry(
    canvas: Image.Image,
    entry: LegendEntry,
    corner: tuple[int, int],
    font: ImageFont.FreeTypeFont,
    swatch: int,
    gap: int,
    line: int,
) -> None:
    x, y = corner
    draw = ImageDraw.Draw(canvas)
    if entry.color is None:
        canvas.paste(Image.fromarray(hatch(swatch, swatch)), (x, y))
        draw.rectangle((x, y, x + swatch - 1, y + swatch - 1), outline=EDGE)
    else:
        draw.rectangle((x, y, x + swatch - 1, y + swatch - 1), fill=entry.color, outline=EDGE)
    x += swatch + gap
    middle = y + swatch / 2
    for i, text in enumerate(entry.lines):
        draw.text((x, middle + i * line), text, INK, font, anchor="lm")
    if entry.share:
        x += text_width(entry.lines[-1], font) + gap
        draw.text((x, middle + (len(entry.lines) - 1) * line), entry.share, MUTED, font, anchor="lm")
