"""Curves, bars and other diagrams: their contents are right, and their texts neither touch nor leave the figure."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from figure_texts import FORTY, GREY, assert_texts_apart_and_inside
from forms import amount
from matplotlib.text import Text

from tinysegnet import viz
from tinysegnet.data.palette import Palette
from tinysegnet.errors import ShapeError
from tinysegnet.metrics import Scores
from tinysegnet.viz.curves import column
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons import figures
from tinysegnet_lessons.figures.end_labels import spread


def history(epochs: int, **changes) -> list[dict[str, object]]:
    rows = []
    for i in range(epochs):
        up = 1 - math.exp(-3 * (i + 1) / epochs)
        scores = {"val_G": 0.9 * up, "val_C": 0.8 * up, "val_mIoU": 0.7 * up}
        rows.append({"epoch": i + 1, "train_loss": 2.5 - 2 * up, **scores, "seconds": 2.0, **changes})
    return rows


def texts_of(figure) -> list[Text]:
    figure.canvas.draw()
    axis_ends = [(axis, sorted(axis.get_view_interval())) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    ticks = [
        tick for axis, (low, high) in axis_ends for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high
    ]
    undrawn = {label for tick in ticks for label in (tick.label1, tick.label2)}
    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible() and t not in undrawn]


BASELINES = {"position prior": 0.21, "colour": 0.2, "colour and position": 0.22, "the fourth $x_1$": 0.7}


@pytest.mark.parametrize("epochs", amount([0, 1, 13], [0, 1, 2, 13, 200]))
@pytest.mark.parametrize("baselines", [{}, BASELINES])
@pytest.mark.parametrize("rate", [{}, {"learning_rate": 1.25e-5}])
def test_curve_labels_neither_touch_nor_leave_the_figure(epochs, baselines, rate):
    figure = viz.curves_figure(history(epochs, **rate), baselines)
    assert_texts_apart_and_inside(figure, texts_of(figure))
    assert len(figure.axes) == (3 if rate and epochs else 2)


def test_curves_are_labelled_with_name_and_last_value():
    texts = [t.get_text() for t in texts_of(viz.curves_figure(history(3), {"baseline $a$": 0.25, "none": math.nan}))]
    assert {"G 0.855", "C 0.760", "mIoU 0.665", "baseline $a$ 0.250", "best mIoU 0.665 in epoch 3"} <= set(texts)


def test_line_crosses_epochs_without_a_value_and_few_values_are_dots():
    rows = history(20)
    rows[5]["val_mIoU"], rows[7]["val_mIoU"], rows[9]["train_loss"] = None, "", math.inf
    rows[8]["val_mIoU"] = "nonsense"
    rows[19]["val_mIoU"] = "0.5"
    assert np.flatnonzero(np.isnan(column(rows, "val_mIoU"))).tolist() == [5, 7, 8]
    scores = viz.curves_figure(rows).axes[1]
    line = scores.get_lines()[2]
    assert np.isfinite(line.get_ydata()).all()
    assert set(range(1, 21)) - set(line.get_xdata()) == {6, 8, 9}
    assert line.get_marker() in ("", "None")
    few = [{"epoch": k, "val_mIoU": k / 50 if k % 5 == 0 else None} for k in range(1, 51)]
    assert viz.curves_figure(few).axes[1].get_lines()[2].get_marker() == "o"
    assert "mIoU 0.500" in [t.get_text() for t in scores.get_legend().get_texts()]


def test_spread_keeps_order_and_distance():
    rng = np.random.default_rng(0)
    for _ in range(amount(100, 300)):
        n = rng.integers(1, 8)
        heights = np.clip(rng.normal(rng.integers(0, 2), 0.3, n), 0, 1).round(1).tolist()
        moved = spread(heights, gap=0.12)
        assert np.all(np.diff(np.sort(moved)) >= 0.12 - 1e-9)
        assert all((a < b) <= (x < y) for (a, x), (b, y) in combinations(zip(heights, moved, strict=True), 2))
        assert min(moved) >= -1e-9
        assert max(moved) <= 1 + 1e-9
    assert spread([0.2, 0.9], gap=0.1) == [0.2, 0.9], "labels that do not touch must not move"


def test_spread_settles_groups_that_meet_after_being_clamped():
    np.testing.assert_allclose(spread([0.0, 0.0, 0.1], gap=0.1), [0.0, 0.1, 0.2], atol=1e-9)
    np.testing.assert_allclose(spread([0.85, 1.0, 1.0, 1.0], gap=0.1), [0.7, 0.8, 0.9, 1.0], atol=1e-9)


def scores_with_absent() -> Scores:
    return Scores.from_confusion(np.array([[8, 2, 0], [0, 0, 0], [1, 0, 9]]), ("grass", "ghost", "cow"))


def test_bars_have_class_colours_and_label_absent_classes():
    palette = Palette(("grass", "ghost", "cow"), ((0, 200, 0), (1, 2, 3), (200, 0, 100)))
    figure = viz.per_class_figure(scores_with_absent(), palette)
    bars = figure.axes[0].patches
    assert [round(bar.get_width(), 3) for bar in bars] == [0.9, 0.727, 0.0]
    assert tuple(round(255 * c) for c in bars[0].get_facecolor()[:3]) == (200, 0, 100)
    texts = [t.get_text() for t in texts_of(figure)]
    assert "absent, but predicted" in texts


def test_bars_of_forty_classes_fit():
    scores = Scores.from_confusion(np.eye(40, dtype=int), FORTY.names)
    figure = viz.per_class_figure(scores, FORTY)
    width = figure.canvas.get_width_height()[0]
    boxes = [t.get_window_extent() for t in texts_of(figure)]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= width


def test_saved_figures_are_the_same_every_time(tmp_path):
    for name in ("a.png", "a.svg", "b.png", "b.svg"):
        viz.save_figure(viz.curves_figure(history(4), BASELINES), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


# --- galleries and plots of the lessons ---------------------------------------------------------------------------


def test_gallery_shows_every_picture_under_its_text():
    numbers = np.array([[1.0, -2.0], [0.0, np.nan]])
    figure = figures.show_gallery([("grey\nsix by eight", GREY), ("numbers", numbers), ("a third", GREY)], columns=2)
    assert len(figure.axes) == 3
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["grey\nsix by eight", "numbers", "a third"]
    assert figure.axes[1].images[0].get_array().tolist() == [[0.5**0.6, -1.0], [0.0, 0.0]]
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[2].y1 < boxes[0].y0
    assert figure_bytes(figure).startswith(b"\x89PNG")
    with pytest.raises(ShapeError, match="uint8"):
        figures.show_gallery([("floats", GREY / 255)])


def test_plot_names_its_curves_and_marks():
    x = np.array([1e-3, 1e-1])
    figure = figures.show_plot({"one": (x, x), "two": (x, x**2)}, title="T", x="h", y="error", log=True,
                           marks={"best": (1e-2, 1e-3)})  # fmt: skip
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    figure.canvas.draw()
    texts = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert {"T", "error", "one", "two", "best"} <= set(texts)
    assert all(box.x1 < figure.bbox.width for box in texts.values())
