"""Checks that texts in figures are inside the figure and do not overlap; a palette and a picture to draw with."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from tinysegnet.data.palette import Palette

GREY = np.full((6, 8, 3), 100, np.uint8)
FORTY = Palette(
    tuple(f"class {i} with a name" for i in range(39)) + ("Rindfleischetikettierungsgesetz" * 4,),
    tuple((i * 6, 255 - i * 6, i * 37 % 256) for i in range(40)),
    ignore_label=255,
)


def assert_texts_apart_and_inside(figure, texts=None):
    """Check the given texts, or all that are visible."""
    W, H = figure.canvas.get_width_height()
    figure.canvas.draw()
    ends = []
    for text in (t for t in texts or figure.findobj(Text) if t.get_text().strip() and t.get_visible()):
        box = text.get_window_extent()
        assert box.x0 >= -1, text
        assert box.x1 <= W + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= H + 1, text
        # lines are higher than their letters, so boxes may overlap by half a pixel
        ends.append((text.get_text(), (box.x0 + 0.5, box.y0 + 0.5, box.x1 - 0.5, box.y1 - 0.5)))
    assert_apart(ends)


def assert_apart(boxes):
    """Check that no two boxes overlap; each is (text, (left, low, right, high))."""
    for (a, (l0, low0, r0, high0)), (b, (l1, low1, r1, high1)) in combinations(boxes, 2):
        assert r0 <= l1 or r1 <= l0 or high0 <= low1 or high1 <= low0, f"{a!r} overlaps {b!r}"


def cell_patches(figure):
    """Return the Rectangle of each named cell by its gid."""
    return {patch.get_gid(): patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)
            and patch.get_gid()}  # fmt: skip


def texts_in(figure, patch):
    """Return the texts within a cell."""
    (x, y), side = patch.get_xy(), patch.get_width()
    return [t.get_text() for t in figure.axes[0].texts if x < t.get_position()[0] < x + side
            and y < t.get_position()[1] < y + patch.get_height()]  # fmt: skip


def number_in(figure, name):
    (text,) = texts_in(figure, cell_patches(figure)[name])
    return float(text.replace("\N{MINUS SIGN}", "-").replace("∞", "inf"))
