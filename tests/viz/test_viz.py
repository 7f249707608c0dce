"""Pictures have exact pixels, and their texts neither overlap nor cross the edge."""

from __future__ import annotations

import numpy as np
import pytest
from figure_texts import FORTY, GREY, assert_apart
from PIL import Image

from tinysegnet import viz
from tinysegnet.data.palette import CAMVID, Palette
from tinysegnet.data.sample import Sample
from tinysegnet.errors import ShapeError
from tinysegnet.viz.canvas import load_font, resized, text_width
from tinysegnet.viz.figures import figure_bytes
from tinysegnet.viz.panels import HEADINGS, compared_panels, pixel_accuracy
from tinysegnet_lessons import figures

TWO = Palette(("grass", "cow"), ((0, 200, 0), (200, 0, 100)), ignore_label=9)


def halves() -> np.ndarray:
    """Labels with grass on the left, a cow on the right, and an unlabelled top row."""
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


def test_overlay_shows_the_picture_at_alpha_0_and_the_colours_at_alpha_1():
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    labels = np.minimum(halves(), 1)
    np.testing.assert_array_equal(viz.overlay(image, labels, TWO, alpha=0), image)
    np.testing.assert_array_equal(viz.overlay(image, labels, TWO, alpha=1), TWO.colorize(labels))


def test_overlay_draws_a_boundary_one_pixel_wide_and_stronger():
    out = viz.overlay(GREY, halves(), TWO, alpha=0.5).astype(int)
    towards_grass = out[3, :, 1]
    assert towards_grass[3] > towards_grass[2] == towards_grass[1]
    assert out[3, 4].tolist() == out[3, 6].tolist()  # the boundary is on one side only


def test_overlay_takes_floats_and_clips_them():
    image = np.array([[[-5.0, 99.6, 300.0], [np.nan, np.inf, 0.0]]])
    assert viz.overlay(image, np.array([[9, 9]]), TWO).tolist() == [[[0, 100, 255], [0, 255, 0]]]


@pytest.mark.parametrize(
    ("image", "labels"),
    [(GREY, np.zeros((8, 6), int)), (GREY[..., 0], halves()), (GREY, halves() * 1.0), (GREY[:0], halves()[:0])],
)
def test_overlay_rejects_arrays_that_do_not_fit(image, labels):
    with pytest.raises(ShapeError, match=r"picture|labels"):
        viz.overlay(image, labels, TWO)


def test_pictures_leave_their_inputs_unchanged():
    image, labels = GREY.copy(), halves()
    image.flags.writeable = labels.flags.writeable = False
    viz.overlay(image, labels, TWO)
    viz.labelled_picture(image, labels, TWO)
    viz.overlays_picture([(image, labels, labels, "a")], TWO)


# --- unlabelled is hatched, errors are red -----------------------------------------------------------------


def test_colour_map_hatches_unlabelled_pixels():
    out = viz.colour_map(halves(), TWO)
    np.testing.assert_array_equal(out[1:], TWO.colorize(halves())[1:])
    shades = colors_in(out[0])
    assert len(shades) == 2
    assert min(map(min, shades)) > 150, "light, not black"


def test_error_picture_shows_errors_red_correct_pixels_dim_and_unlabelled_pixels_hatched():
    prediction = np.minimum(halves(), 1)
    prediction[3, 1] = 1
    out = viz.error_picture(GREY, halves(), prediction, TWO).astype(int)
    red, green, blue = out[3, 1]
    assert red > 170
    assert max(green, blue) < 80
    assert len(set(out[3, 2])) == 1, "correct pixels are grey"
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


def test_resized_labels_are_taken_from_pixel_centres():
    """Pillow resizes pictures in the same way, so that outlines do not shift relative to the pictures."""
    labels = np.random.default_rng(0).integers(0, 200, (7, 9)).astype(np.uint8)
    for size in ((9, 7), (27, 21), (4, 3), (5, 2), (13, 40)):
        expected = Image.fromarray(labels).resize(size, Image.Resampling.NEAREST)
        np.testing.assert_array_equal(resized(labels, size), expected)


def test_panels_are_image_ground_truth_prediction_and_errors():
    black, labels, prediction = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), int), np.ones((4, 4), int)
    panels = [np.asarray(p)[50, 50] for p in compared_panels((black, labels, prediction, ""), TWO, 100, 100)]
    colors = [(0, 0, 0), (0, 0.7 * 200, 0), (0.7 * 200, 0, 0.7 * 100), (0.75 * 226, 0.75 * 40, 0.75 * 48)]
    np.testing.assert_allclose(panels, colors, atol=1)


def test_pixel_accuracy_ignores_unlabelled_pixels():
    prediction = np.zeros((6, 8), np.uint8)
    assert pixel_accuracy(halves(), prediction, TWO) == 0.5
    assert pixel_accuracy(np.full((2, 2), 9), np.zeros((2, 2)), TWO) is None


# --- legend ------------------------------------------------------------------------------------------------


def test_legend_has_the_given_width_and_every_colour():
    for width in (300, 640, 1650):
        strip = viz.legend_strip(CAMVID, width)
        assert strip.shape[1:] == (width, 3)
        assert set(CAMVID.colors) <= colors_in(strip)


def test_legend_of_a_label_map_lists_only_classes_that_occur(monkeypatch):
    entries = drawn_texts(monkeypatch, lambda: viz.legend_strip(CAMVID, 640, np.array([[3, 3, 3, 11], [3, 3, 3, 8]])))
    assert [text for text, _ in entries] == ["Road", "75.0 %", "Car", "12.5 %", "not labelled", "12.5 %"]


def test_legend_does_not_round_small_shares_to_zero(monkeypatch):
    labels = np.zeros((100, 100), np.uint8)
    labels[0, 0] = 2
    texts = [text for text, _ in drawn_texts(monkeypatch, lambda: viz.legend_strip(CAMVID, 640, labels))]
    assert "< 0.1 %" in texts


@pytest.mark.parametrize("width", [200, 640, 1650])
@pytest.mark.parametrize("labels", [None, np.arange(40).reshape(5, 8)])
def test_legend_texts_neither_overlap_nor_leave_the_strip(monkeypatch, width, labels):
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
    """Return the texts that `draw` writes with Pillow, with their boxes."""
    boxes = []

    def record(self, xy, text, fill=None, font=None, anchor="la"):
        boxes.append((text, self.textbbox(xy, text, font=font, anchor=anchor)))

    monkeypatch.setattr("PIL.ImageDraw.ImageDraw.text", record)
    draw()
    return boxes


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
    picture = np.asarray(viz.labelled_picture(image, np.full((2, 2), 9), TWO, enlargement=5))
    assert not picture[:10, 315:325].any(), "2 x 2 pixels, five times as large, centred on 640"
    assert (picture[:10, :315] == 255).all()


def test_overlays_picture_has_room_for_its_texts(monkeypatch):
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
        "100.0 % of pixels correct",
    }
    assert all(text_width(text, load_font(16)) < 1650 for text, _ in boxes)


def test_figure_of_a_picture_has_the_same_pixels():
    sample = (GREY, halves(), halves(), "a")
    expected = viz.overlays_picture([sample], TWO)
    assert_png_equals(figure_bytes(figures.overlays_figure([sample], TWO)), expected)


def assert_png_equals(data: bytes, expected: Image.Image) -> None:
    import io

    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), np.asarray(expected))


def test_figures_are_shown_by_notebooks_without_pyplot():
    figure = figures.show_sample(Sample(GREY, halves(), "a/b.png"), TWO)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figures.show_labels(halves(), TWO)._repr_png_().startswith(b"\x89PNG")


def test_viz_does_not_import_pyplot():
    import subprocess
    import sys

    code = "import sys, tinysegnet.viz; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
