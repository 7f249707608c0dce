"""Figures of curves with names at their ends, of a pixel's values as bars, and of loss maps."""

from itertools import pairwise

import numpy as np
import pytest

from tinysegnet.data import CAMVID, Palette
from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons import figures

IMAGE = np.full((6, 8, 3), 200, np.uint8)


def boxes(figure):
    """Return the box of each text in pixels of the figure."""
    renderer = figure.canvas.get_renderer()
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    return {text.get_text(): text.get_window_extent(renderer) for text in texts}


def test_names_of_curves_with_equal_ends_do_not_overlap():
    figure = figures.show_plot({f"curve {k}": [1.0, 2.0 + 1e-3 * k] for k in range(6)}, x="step", y="value")
    names = sorted((box for name, box in boxes(figure).items() if name.startswith("curve")), key=lambda box: box.y0)
    assert len(names) == 6
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(names))
    assert all(box.x1 <= figure.bbox.x1 for box in names)


def test_curve_on_a_logarithmic_axis_has_a_gap_at_zero():
    figure = figures.show_plot({"a": [1.0, 0.0, np.nan, 100.0]}, log="y", first=1)
    line = figure.axes[0].get_lines()[0]  # the second line leads to the curve's name
    assert line.get_xdata().tolist() == [1, 2, 3, 4]
    assert np.isnan(line.get_ydata()).tolist() == [False, True, True, False]


def test_equal_plots_give_equal_bytes():
    first, second = (figure_bytes(figures.show_plot({"a": [1.0, 2.0]}, title="T", x="x", y="y")) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("curves", [{}, {"a": []}, {"a": np.ones((3, 2))}, {"a": ([1.0, 2.0], [1.0])}])
def test_show_plot_rejects_curves_without_values(curves):
    with pytest.raises(ShapeError, match="show_plot"):
        figures.show_plot(curves)


def test_name_of_a_curve_is_beside_its_end():
    figure = figures.show_plot({"long": ([0, 10], [0, 1]), "short": ([0, 5], [1, 0])})
    found, (axes,) = boxes(figure), figure.axes
    edge = axes.get_window_extent().x1
    assert found["long"].x0 > edge
    assert axes.transData.transform((5, 0))[0] < found["short"].x0 < found["short"].x1 < edge


def test_bars_of_a_pixel_have_the_lengths_of_its_values():
    logits = np.linspace(-12.5, 3, 11)
    figure = figures.show_pixel(IMAGE, (2, 3), {"logits": logits, "p": np.full(11, 1 / 11)}, CAMVID, label=3)
    _, left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx(logits)
    assert [bar.get_width() for bar in right.patches] == pytest.approx(np.full(11, 1 / 11))
    found = boxes(figure)
    assert "Road  (label)" in found
    assert found["Sky"].x1 <= found["\N{MINUS SIGN}12.50"].x0  # the longest bar's number does not overlap its name
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in found.values())


def test_show_pixel_rejects_a_wrong_number_of_values():
    with pytest.raises(ShapeError, match=r"p \(2,\).*3"):
        figures.show_pixel(IMAGE, (0, 0), {"p": np.ones(2)}, Palette(("a", "b", "c"), ((0, 0, 0),) * 3))


def test_heat_is_darker_for_larger_values_and_hatched_for_nan():
    values = np.zeros((6, 8))
    values[1, 2], values[3, 4], values[5] = 1.0, 0.5, np.nan
    figure = figures.show_heat(values, "loss", image=IMAGE, scale=1.0)
    painted = np.asarray(figure.axes[1].get_images()[0].get_array()).astype(int)
    assert (painted[0, 0] == 255).all()
    assert painted[1, 2].sum() < painted[3, 4].sum() < painted[0, 0].sum()
    assert len({tuple(pixel) for pixel in painted[5]}) == 2


@pytest.mark.parametrize(("shape", "image"), [((4,), None), ((0, 3), None), ((6, 7), IMAGE)])
def test_show_heat_rejects_arrays_that_do_not_fit(shape, image):
    with pytest.raises(ShapeError, match="map"):
        figures.show_heat(np.zeros(shape), "loss", image=image)
