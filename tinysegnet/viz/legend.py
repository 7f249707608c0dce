"""A legend with the colour, name and share of each class, drawn with Pillow."""

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..data.palette import Color, Palette
from .canvas import EDGE, load_font, text_width
from .overlay import hatch, is_class
from .themes import LIGHT, Theme


def legend_strip(
    palette: Palette,
    width: int,
    labels: np.ndarray | None = None,
    *,
    counts: np.ndarray | None = None,
    font_size: int = 14,
    every: bool = False,
    rest: str = "not labelled",
    theme: Theme = LIGHT,
) -> np.ndarray:
    """Draw a legend exactly `width` pixels wide and as high as necessary: (h, width, 3) uint8.

    Long names are broken into lines; all columns are as wide as the widest name and the widest share.

    Args:
        labels: (H, W) class numbers; only classes that occur are listed, largest first, each with its share of all
            pixels. None lists all classes in the palette's order.
        counts: (K + 1,) numbers of pixels per class and of unlabelled pixels, instead of labels.
        every: list all classes in the palette's order, so that a place does not depend on the labels, with shares in
            whole percents, which change less from frame to frame.
        rest: the name of the unlabelled pixels, which are also listed, if the labels or the palette have any.
        theme: colours of text and background.
    """
    font = load_font(font_size)
    swatch, gap, line = round(1.15 * font_size), round(0.5 * font_size), round(1.3 * font_size)
    # Lines of names are at most 16 em wide, so that one very long name does not reduce the number of columns.
    share_room = 0 if labels is None and counts is None else gap + text_width("100.0 %", font)
    room = max(min(width - 3 * gap - swatch - share_room, 16 * font_size), font_size)
    found = listed(palette, labels, rest, counts, every)
    entries = [(_broken(name, font, room), share, color) for name, share, color in found]
    widest = max((text_width(text, font) for lines, _, _ in entries for text in lines), default=0)
    column_gap = 2 * font_size
    step = swatch + gap + widest + share_room + column_gap
    columns = max(1, min(len(entries), (width - 2 * gap + column_gap) // step))
    columns = -(-len(entries) // max(1, -(-len(entries) // columns)))  # 12 entries become 6 + 6, not 10 + 2
    rows = [entries[i : i + columns] for i in range(0, len(entries), columns)]
    heights = [max(len(lines) for lines, _, _ in row) * line + gap for row in rows]
    canvas = Image.new("RGB", (width, sum(heights) + 2 * gap), theme.paper)
    draw = ImageDraw.Draw(canvas)
    # Several rows form a table whose columns fill the strip evenly.
    stride = (width - 2 * gap + column_gap) / columns if len(rows) > 1 else step
    for i, row in enumerate(rows):
        for j, (lines, share, color) in enumerate(row):
            x, y = gap + round(j * stride), round(1.5 * gap) + sum(heights[:i])
            if color is None:
                canvas.paste(Image.fromarray(hatch(swatch, swatch)), (x, y))
            draw.rectangle((x, y, x + swatch - 1, y + swatch - 1), fill=color, outline=EDGE)
            left, middle = x + swatch + gap, y + swatch / 2
            for number, text in enumerate(lines):
                draw.text((left, middle + number * line), text, theme.ink, font, anchor="lm")
            if share:
                end = left + text_width(lines[-1], font) + gap, middle + (len(lines) - 1) * line
                draw.text(end, share, theme.muted, font, anchor="lm")
    return np.asarray(canvas)


def class_name(palette: Palette, k: int) -> str:
    """Return the name of class k on one line, or "class k" if it is blank."""
    return " ".join(palette.names[k].split()) or f"class {k}"


def percent(fraction: float, digits: int = 1) -> str:
    """Format 0.3141 as "31.4 %", and positive values that would round to 0 as "< 0.1 %"."""
    least = 10.0**-digits
    return f"< {least:.{digits}f} %" if 0 < 200 * fraction < least else f"{100 * fraction:.{digits}f} %"


def listed(
    palette: Palette, labels: np.ndarray | None, rest: str = "not labelled", counts: np.ndarray | None = None,
    every: bool = False,
) -> list[tuple[str, str, Color | None]]:  # fmt: skip
    """Return name, share and colour of each entry in order; unlabelled pixels have no colour."""
    K = palette.num_classes
    names, colors = [*(class_name(palette, k) for k in range(K)), rest], [*palette.colors, None]
    if counts is None and labels is not None:
        classes = np.where(is_class(labels, palette), labels.astype(np.int64), K)
        counts = np.bincount(classes.ravel(), minlength=K + 1)
    if counts is None:
        return [(names[k], "", colors[k]) for k in range(K + (palette.ignore_label is not None))]
    order = [*sorted(range(K), key=lambda k: 0 if every else -counts[k]), K]
    shown = [k for k in order if counts[k] or (every and k < K)]
    return [(names[k], percent(counts[k] / counts.sum(), 0 if every else 1), colors[k]) for k in shown]


def _broken(text: str, font: ImageFont.FreeTypeFont, room: int) -> list[str]:
    """Break text into lines of at most `room` pixels: at spaces if possible, otherwise within words."""
    for letters in range(len(text), 1, -1):
        lines = textwrap.wrap(text, letters)
        if max(text_width(line, font) for line in lines) <= room:
            return lines
    return list(text)
