"""Pictures: exact pixels where they matter, and no text over another text or over the edge."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from tinysegnet import viz
from tinysegnet.data.palette import CAMVID, Palette
from tinysegnet.data.sample import Sample
from tinysegnet.errors import ShapeError
from tinysegnet.metrics import Scores
from tinysegnet.viz.curves import column, spread
from tinysegnet.viz.figures import figure_bytes
from tinysegnet.viz.legend import load_font, text_width
from tinysegnet.viz.pictures import HEADINGS, compared_panels, pixel_accuracy

TWO = Palette(("grass", "cow"), ((0, 200, 0), (200, 0, 100)), ignore_label=9)
GREY = np.full((6, 8, 3), 100, np.uint8)
FORTY = Palette(
    tuple(f"class {i} with a name" for i in range(39)) + ("Rindfleischetikettierungsgesetz" * 4,),
    tuple((i * 6, 255 - i * 6, i * 37 % 256) for i in range(40)),
    ignore_label=255,
)


def halves() -> np.ndarray:
    """Grass on the left, a cow on the right, the top row unlabelled."""
    labels = np.zeros((6, 8), np.uint8)
    labels[:, 4:] = 1
    labels[0] = 9
    return labels


def colors_in(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in color) for color in np.unique(np.asarray(picture).reshape(-1, 3), axis=0)}


# --- overlay -----------------------------------------------------------------------------------------------


def test_overlay_blends_halfway():
    out = viz.overlay(GREY, halves(), TWO, alpha=0.5)
    assert out.dtype == np.uint8
    assert out[3, 1].tolist() == [50, 150, 50]
    assert out[3, 6].tolist() == [150, 50, 100]


def test_overlay_leaves_unlabelled_pixels_alone():
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    out = viz.overlay(image, halves(), TWO, alpha=0.9)
    np.testing.assert_array_equal(out[0], image[0])
    unknown = np.full((6, 8), 77)
    np.testing.assert_array_equal(viz.overlay(image, unknown, TWO), image)


def test_overlay_alpha_zero_is_the_picture_and_one_the_colours():
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    labels = np.minimum(halves(), 1)
    np.testing.assert_array_equal(viz.overlay(image, labels, TWO, alpha=0), image)
    np.testing.assert_array_equal(viz.overlay(image, labels, TWO, alpha=1), TWO.colorize(labels))


def test_overlay_draws_a_boundary_one_pixel_wide_and_stronger():
    out = viz.overlay(GREY, halves(), TWO, alpha=0.5).astype(int)
    towards_grass = out[3, :, 1]
    assert towards_grass[3] > towards_grass[2] == towards_grass[1]
    assert out[3, 4].tolist() == out[3, 6].tolist()  # one side only


def test_overlay_takes_floats_and_clips_them():
    image = np.array([[[-5.0, 99.6, 300.0], [np.nan, np.inf, 0.0]]])
    assert viz.overlay(image, np.array([[9, 9]]), TWO).tolist() == [[[0, 100, 255], [0, 255, 0]]]


@pytest.mark.parametrize(
    ("image", "labels"),
    [(GREY, np.zeros((8, 6), int)), (GREY[..., 0], halves()), (GREY, halves() * 1.0), (GREY[:0], halves()[:0])],
)
def test_what_does_not_fit_is_refused(image, labels):
    with pytest.raises(ShapeError):
        viz.overlay(image, labels, TWO)


def test_inputs_are_not_written():
    image, labels = GREY.copy(), halves()
    image.flags.writeable = labels.flags.writeable = False
    viz.overlay(image, labels, TWO)
    viz.labelled_picture(image, labels, TWO)
    viz.overlays_picture([(image, labels, labels, "a")], TWO)


# --- unlabelled is hatched, errors are red -----------------------------------------------------------------


def test_colour_map_hatches_what_is_unlabelled():
    out = viz.colour_map(halves(), TWO)
    np.testing.assert_array_equal(out[1:], TWO.colorize(halves())[1:])
    shades = colors_in(out[0])
    assert len(shades) == 2
    assert min(map(min, shades)) > 150, "light, not black"


def test_error_picture_shows_wrong_red_right_dim_and_unlabelled_hatched():
    prediction = np.minimum(halves(), 1)
    prediction[3, 1] = 1
    out = viz.error_picture(GREY, halves(), prediction, TWO).astype(int)
    red, green, blue = out[3, 1]
    assert red > 170
    assert max(green, blue) < 80
    assert len(set(out[3, 2])) == 1, "right pixels are grey"
    assert out[3, 2, 0] < 100, "and darker than the picture"
    assert len(colors_in(out[0])) == 2, "unlabelled pixels are hatched, whatever was predicted"


def test_panels_scale_labels_without_inventing_classes():
    labels = np.array([[0, 4], [4, 0]], np.uint8)
    image = np.full((2, 2, 3), 0, np.uint8)
    truth, prediction = compared_panels((image, labels, labels, ""), CAMVID, 101, 101)[1:3]
    possible = {tuple(round(c * a) for c in CAMVID.colors[k]) for k in (0, 4) for a in (180 / 256, 0.88)}
    for panel in (truth, prediction):
        assert panel.size == (101, 101)
        assert all(min(np.abs(np.subtract(c, p)).max() for p in possible) <= 1 for c in colors_in(panel))


def test_labels_are_picked_at_pixel_centres():
    """As pictures are resized (Pillow), so that outlines do not shift against them."""
    labels = np.random.default_rng(0).integers(0, 200, (7, 9)).astype(np.uint8)
    for size in ((9, 7), (27, 21), (4, 3), (5, 2), (13, 40)):
        expected = Image.fromarray(labels).resize(size, Image.Resampling.NEAREST)
        np.testing.assert_array_equal(viz.pictures.resized(labels, size), expected)


def test_the_four_panels_are_image_truth_prediction_and_errors():
    black, labels, prediction = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), int), np.ones((4, 4), int)
    panels = [np.asarray(p)[50, 50] for p in compared_panels((black, labels, prediction, ""), TWO, 100, 100)]
    colors = [(0, 0, 0), (0, 0.7 * 200, 0), (0.7 * 200, 0, 0.7 * 100), (0.75 * 226, 0.75 * 40, 0.75 * 48)]
    np.testing.assert_allclose(panels, colors, atol=1)


def test_pixel_accuracy_does_not_count_unlabelled_pixels():
    prediction = np.zeros((6, 8), np.uint8)
    assert pixel_accuracy(halves(), prediction, TWO) == 0.5
    assert pixel_accuracy(np.full((2, 2), 9), np.zeros((2, 2)), TWO) is None


# --- legend ------------------------------------------------------------------------------------------------


def test_legend_has_exactly_the_asked_width_and_every_colour():
    for width in (300, 640, 1650):
        strip = viz.legend_strip(CAMVID, width)
        assert strip.shape[1:] == (width, 3)
        assert set(CAMVID.colors) <= colors_in(strip)


def test_legend_of_a_label_map_lists_only_what_occurs(monkeypatch):
    entries = drawn_texts(monkeypatch, lambda: viz.legend_strip(CAMVID, 640, np.array([[3, 3, 3, 11], [3, 3, 3, 8]])))
    assert [text for text, _ in entries] == ["Road", "75.0 %", "Car", "12.5 %", "not labelled", "12.5 %"]


def test_a_tiny_share_is_not_called_nothing(monkeypatch):
    labels = np.zeros((100, 100), np.uint8)
    labels[0, 0] = 2
    texts = [text for text, _ in drawn_texts(monkeypatch, lambda: viz.legend_strip(CAMVID, 640, labels))]
    assert "< 0.1 %" in texts


@pytest.mark.parametrize("width", [200, 640, 1650])
@pytest.mark.parametrize("labels", [None, np.arange(40).reshape(5, 8)])
def test_legend_texts_neither_touch_nor_leave_the_strip(monkeypatch, width, labels):
    strip = []
    boxes = drawn_texts(monkeypatch, lambda: strip.append(viz.legend_strip(FORTY, width, labels)))
    height = strip[0].shape[0]
    for text, (left, top, right, bottom) in boxes:
        assert left >= 0, text
        assert right <= width, text
        assert top >= 0, text
        assert bottom <= height, text
    assert_apart(boxes)


def drawn_texts(monkeypatch, draw) -> list[tuple[str, tuple[float, float, float, float]]]:
    """What `draw` writes with Pillow, with the box of each text."""
    boxes = []

    def record(self, xy, text, fill=None, font=None, anchor="la"):
        boxes.append((text, self.textbbox(xy, text, font=font, anchor=anchor)))

    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", record)
    draw()
    return boxes


def assert_apart(boxes) -> None:
    for (a, (l0, t0, r0, b0)), (b, (l1, t1, r1, b1)) in combinations(boxes, 2):
        assert r0 <= l1 or r1 <= l0 or b0 <= t1 or b1 <= t0, f"{a!r} overlaps {b!r}"


# --- whole pictures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("H", "W", "width"), [(1, 1, 640), (32, 48, 672), (96, 128, 640), (720, 960, 960), (600, 3, 640), (3, 3000, 3000)]
)
def test_labelled_picture_is_large_enough_to_read(H, W, width):
    picture = viz.labelled_picture(np.zeros((H, W, 3), np.uint8), np.zeros((H, W), np.uint8), CAMVID)
    assert picture.width == width
    assert H < picture.height < 4000


def test_labelled_picture_enlarges_pixels_exactly():
    image = np.zeros((2, 2, 3), np.uint8)
    picture = np.asarray(viz.labelled_picture(image, np.full((2, 2), 9), TWO, scale=5))
    assert not picture[:10, 315:325].any(), "2 x 2 pixels, five times as large, centred on 640"
    assert (picture[:10, :315] == 255).all()


def test_overlays_picture_fits_its_texts(monkeypatch):
    samples = [
        (GREY, halves(), halves(), "name " * 100),
        (np.zeros((60, 3, 3)), np.full((60, 3), 255), np.zeros((60, 3), int), ""),
    ]
    boxes = drawn_texts(monkeypatch, lambda: viz.overlays_picture(samples, TWO))
    assert {text for text, _ in boxes} >= {
        *HEADINGS,
        "grass",
        "cow",
        "not labelled",
        "no labelled pixels",
        "100.0 % of pixels right",
    }
    assert all(text_width(text, load_font(16)) < 1650 for text, _ in boxes)


def test_figures_of_pictures_are_the_picture_pixel_for_pixel():
    sample = (GREY, halves(), halves(), "a")
    expected = viz.overlays_picture([sample], TWO)
    assert_png_equals(figure_bytes(viz.overlays_figure([sample], TWO)), expected)


def assert_png_equals(data: bytes, expected: Image.Image) -> None:
    import io

    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), np.asarray(expected))


def test_figures_show_themselves_in_a_notebook_without_pyplot():
    figure = viz.show_sample(Sample(GREY, halves(), "a/b.png"), TWO)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert viz.show_labels(halves(), TWO)._repr_png_().startswith(b"\x89PNG")


def test_nothing_imports_pyplot():
    import subprocess
    import sys

    code = "import sys, tinysegnet.viz; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


# --- diagrams ----------------------------------------------------------------------------------------------


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


FLOORS = {"position prior": 0.21, "colour": 0.2, "colour and position": 0.22, "the fourth $x_1$": 0.7}


@pytest.mark.parametrize("epochs", [0, 1, 2, 13, 200])
@pytest.mark.parametrize("floors", [{}, FLOORS])
@pytest.mark.parametrize("rate", [{}, {"learning_rate": 1.25e-5}])
def test_curve_labels_neither_touch_nor_leave_the_figure(epochs, floors, rate):
    figure = viz.curves_figure(history(epochs, **rate), floors)
    W, H = figure.canvas.get_width_height()
    ends = []
    for text in texts_of(figure):
        box = text.get_window_extent()
        assert box.x0 >= -1, text
        assert box.x1 <= W + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= H + 1, text
        # a line of text is higher than its letters: half a pixel may be shared
        ends.append((text.get_text(), (box.x0 + 0.5, box.y0 + 0.5, box.x1 - 0.5, box.y1 - 0.5)))
    assert_apart(ends)
    assert len(figure.axes) == (3 if rate and epochs else 2)


def test_curves_are_labelled_with_name_and_last_value():
    texts = [t.get_text() for t in texts_of(viz.curves_figure(history(3), {"floor $a$": 0.25, "none": math.nan}))]
    assert {"G 0.855", "C 0.760", "mIoU 0.665", "floor $a$ 0.250", "best mIoU 0.665 in epoch 3"} <= set(texts)


def test_a_line_crosses_epochs_without_a_value_and_few_values_are_dots():
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
    assert "mIoU 0.500" in [t.get_text() for t in scores.texts]


def test_spread_keeps_order_and_distance():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n = rng.integers(1, 8)
        heights = np.clip(rng.normal(rng.integers(0, 2), 0.3, n), 0, 1).round(1).tolist()
        moved = spread(heights, gap=0.12)
        assert np.all(np.diff(np.sort(moved)) >= 0.12 - 1e-9)
        assert all((a < b) <= (x < y) for (a, x), (b, y) in combinations(zip(heights, moved, strict=True), 2))
        assert min(moved) >= -1e-9
        assert max(moved) <= 1 + 1e-9
    assert spread([0.2, 0.9], gap=0.1) == [0.2, 0.9], "what does not touch does not move"


def test_spread_settles_groups_that_meet_after_being_clamped():
    np.testing.assert_allclose(spread([0.0, 0.0, 0.1], gap=0.1), [0.0, 0.1, 0.2], atol=1e-9)
    np.testing.assert_allclose(spread([0.85, 1.0, 1.0, 1.0], gap=0.1), [0.7, 0.8, 0.9, 1.0], atol=1e-9)


def scores_with_absent() -> Scores:
    return Scores.from_confusion(np.array([[8, 2, 0], [0, 0, 0], [1, 0, 9]]), ("grass", "ghost", "cow"))


def test_bars_have_class_colours_and_absent_classes_say_so():
    palette = Palette(("grass", "ghost", "cow"), ((0, 200, 0), (1, 2, 3), (200, 0, 100)))
    figure = viz.per_class_figure(scores_with_absent(), palette)
    bars = figure.axes[0].patches
    assert [round(bar.get_width(), 3) for bar in bars] == [0.9, 0.727, 0.0]
    assert tuple(round(255 * c) for c in bars[0].get_facecolor()[:3]) == (200, 0, 100)
    texts = [t.get_text() for t in texts_of(figure)]
    assert "absent, but predicted" in texts
    unsorted = viz.per_class_figure(scores_with_absent(), palette, sort=False).axes[0].patches
    assert [round(bar.get_width(), 3) for bar in unsorted] == [0.727, 0.0, 0.9]


def test_bars_of_forty_classes_fit():
    scores = Scores.from_confusion(np.eye(40, dtype=int), FORTY.names)
    figure = viz.per_class_figure(scores, FORTY)
    width = figure.canvas.get_width_height()[0]
    boxes = [t.get_window_extent() for t in texts_of(figure)]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= width


def test_saved_figures_are_the_same_every_time(tmp_path):
    for name in ("a.png", "a.svg", "b.png", "b.svg"):
        viz.save_figure(viz.curves_figure(history(4), FLOORS), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


# --- galleries and plots of the lessons ---------------------------------------------------------------------------


def test_a_gallery_shows_every_picture_under_its_text():
    numbers = np.array([[1.0, -2.0], [0.0, np.nan]])
    figure = viz.show_gallery([("grey\nsix by eight", GREY), ("numbers", numbers), ("a third", GREY)], columns=2)
    assert len(figure.axes) == 3
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["grey\nsix by eight", "numbers", "a third"]
    assert figure.axes[1].images[0].get_array().tolist() == [[0.5**0.6, -1.0], [0.0, 0.0]]
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[2].y1 < boxes[0].y0
    assert figure_bytes(figure).startswith(b"\x89PNG")
    with pytest.raises(ShapeError, match="uint8"):
        viz.show_gallery([("floats", GREY / 255)])


def test_a_plot_names_its_curves_and_marks():
    x = np.array([1e-3, 1e-1])
    figure = viz.show_plot({"one": (x, x), "two": (x, x**2)}, title="T", x="h", y="error", log=True,
                           marks={"best": (1e-2, 1e-3)})  # fmt: skip
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    figure.canvas.draw()
    texts = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert {"T", "error", "one", "two", "best"} <= set(texts)
    assert all(box.x1 < figure.bbox.width for box in texts.values())
