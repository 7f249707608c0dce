"""Words in figures: none may leave the page or touch another."""

from __future__ import annotations

from itertools import combinations

from matplotlib.text import Text


def assert_texts_apart_and_inside(figure):
    W, H = figure.canvas.get_width_height()
    figure.canvas.draw()
    ends = []
    for text in (t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()):
        box = text.get_window_extent()
        assert box.x0 >= -1, text
        assert box.x1 <= W + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= H + 1, text
        ends.append((text.get_text(), box.x0 + 0.5, box.y0 + 0.5, box.x1 - 0.5, box.y1 - 0.5))
    for (a, l0, b0, r0, t0), (b, l1, b1, r1, t1) in combinations(ends, 2):
        assert r0 <= l1 or r1 <= l0 or t0 <= b1 or t1 <= b0, f"{a!r} overlaps {b!r}"
