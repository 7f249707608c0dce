"""The marks in figures: colours and dashes tell curves and classes apart, and lines cross neither numbers nor names."""

from __future__ import annotations

import re

import numpy as np
import pytest
from forms import amount
from matplotlib.colors import same_color, to_rgb
from matplotlib.patches import FancyArrowPatch

from tinysegnet import viz
from tinysegnet.data import CAMVID, Palette
from tinysegnet.viz.overlay import class_boundaries, colour_map
from tinysegnet_lessons import figures
from tinysegnet_lessons.figures.samples import named_map

TWO = Palette(("grass", "cow"), ((0, 200, 0), (200, 0, 100)), ignore_label=9)
X = np.random.default_rng(0).integers(-4, 5, (4, 5))
LABELS = np.arange(48)[None].repeat(32, 0) // 24
DOTS = [figures.RooflineDot("conv 64", 60, 7e10, "convolution", 5e10), figures.RooflineDot("relu", 0.3, 3e9, "memory")]

# --- colours, dashes and axes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", [viz.LIGHT, viz.DARK])
def test_channels_of_bytes_have_their_own_colours(theme):
    channel = np.array([[0, 100], [200, 255]], np.uint8)
    panels = [(name, channel) for name in ("red", "green", "blue")]
    figure = figures.show_arrays([*panels, ("class", np.array([[0, 3]]))], theme=theme)
    cells = {patch.get_gid(): patch.get_facecolor() for patch in figure.axes[0].patches}
    for own, (name, _) in enumerate(panels):
        colors = np.array([cells[f"{name}[{i}, {j}]"][:3] for i, j in np.ndindex(2, 2)])
        assert (np.delete(colors, own, 1) == 0).all(), "only its own light"
        assert (np.diff(colors[:, own]) > 0).all(), "brighter for larger numbers"
    assert not same_color(cells["class[0, 1]"], cells["class[0, 0]"]), "classes have their own scale"


def test_other_numbers_called_red_stay_signed():
    cells = figures.show_arrays([("red", [[-3, 3]])]).axes[0].patches
    low, high = (cell.get_facecolor() for cell in cells)
    assert low[2] > low[0]
    assert high[0] > high[2]


@pytest.mark.parametrize("count", amount([2, 5, 9, 16], range(1, 17)))
def test_curves_are_told_apart_by_dashes_on_the_axes_and_at_the_names(count):
    figure = figures.show_plot({f"c{k}": np.arange(9) * (k + 1) for k in range(count)}, size=(8.5, 5))
    lines = figure.axes[0].get_lines()
    assert_told_apart(lines[:count], samples(figure.axes[0]))


@pytest.mark.parametrize("count", amount([5, 12], range(5, 17)))
def test_classes_are_told_apart_by_dashes(count):
    rows = [{"epoch": e, **{f"IoU {k}": 0.05 * k for k in range(count)}} for e in (1, 2)]
    axes = viz.curves_figure(rows, panels=["classes"]).axes[0]
    assert_told_apart(axes.get_lines()[:count], axes.get_legend().get_lines())


def samples(axes):
    return [line for line in axes.get_lines() if line.get_gid() == "sample"]


def assert_told_apart(curves, shown_at_names):
    def styles(lines):  # the dashes in units of the line's width
        return [(to_rgb(line.get_color()), repr(line._unscaled_dash_pattern)) for line in lines]

    assert len(set(styles(curves))) == len(curves)
    assert sorted(styles(curves)) == sorted(styles(shown_at_names))


@pytest.mark.parametrize("decades", amount([(-4, 5), (-2, 1), (0, 1), (-12, 0), (2, 9)],
                                           [(a, b) for a in range(-12, 6) for b in range(a + 1, 10)]))  # fmt: skip
@pytest.mark.parametrize("axis", ["x", "y"])
def test_logarithmic_axes_have_plain_numbers_where_these_are_short(axis, decades):
    values = np.logspace(*decades, 30)
    figure = figures.show_plot({"a": (values, values)}, log=True, size=(9, 6))
    figure.canvas.draw()
    on = getattr(figure.axes[0], f"{axis}axis")
    low, high = on.get_view_interval() * np.array([1 - 1e-9, 1 + 1e-9])  # a tick may lie at the end, but for rounding
    ticks = [tick for tick in on.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_text()]
    assert ticks
    for tick in ticks:
        text = tick.label1.get_text()
        if decades[0] >= -4 and decades[1] <= 5:
            assert float(text.replace(",", "")) == pytest.approx(tick.get_loc())
            assert "e" not in text
        else:
            assert "10^{" in text


# --- label maps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(amount(3, 30)))
def test_areas_have_outlines_and_names_inside_them(seed):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 11, (3, 4))
    coarse[0, :2] = 4  # is called Pavement, and is large
    labels = coarse.repeat(40, 0).repeat(80, 1)
    drawn = np.asarray(named_map(labels, CAMVID)).astype(int)
    changed = (drawn != colour_map(labels, CAMVID)).any(-1)
    edges = class_boundaries(labels)
    assert (changed | (colour_map(labels, CAMVID).max(-1) == 0))[edges].all()
    written = changed & ~edges
    assert written[labels == 4].any()
    for k in range(11):
        inside = np.pad(labels == k, 1)[1:-1, 1:-1]
        rows, columns = np.nonzero(written & inside)
        if len(rows):
            box = labels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert (box == k).all(), "a name leaves its area"


def test_small_areas_have_no_name():
    labels = np.zeros((60, 90), int)
    labels[20:28, 20:50] = 1
    drawn = np.asarray(named_map(labels, TWO))
    assert (drawn[21:27, 21:49] == TWO.colors[1]).all()


def test_colours_of_classes_are_the_palettes_on_light_and_dark_pages():
    for figure in (figures.show_labels(LABELS, TWO), figures.show_labels(LABELS, TWO, theme=viz.DARK)):
        (image,) = figure.axes[0].images
        for color in TWO.colors:
            assert (np.asarray(image.get_array()) == color).all(-1).mean() > 0.1


# --- nothing is crossed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [((2, 3), 1), *amount([], [((3, 3), 1), ((3, 1), 2)])])
def test_zoom_lines_cross_no_number(kernel, stride, padding):
    figure = figures.show_kernel(X, np.ones(kernel), stride=stride, padding=padding)
    outputs = {patch.get_gid() for patch in figure.axes[0].patches if re.match(r"out\[", patch.get_gid() or "")}
    for name in sorted(outputs)[:: amount(3, 1)]:
        at = tuple(map(int, re.findall(r"\d+", name)))
        axes = figures.show_kernel(X, np.ones(kernel), at=at, stride=stride, padding=padding).axes[0]
        corners = [patch.get_xy() for patch in axes.patches if re.search(r"\[\d", patch.get_gid() or "")
                   and hasattr(patch, "get_xy") and "frame" not in patch.get_gid()]  # fmt: skip
        zooms = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch) and patch.get_gid() == "zoom"]
        assert len(zooms) == 2
        for zoom in zooms:
            points = zoom._path_original.interpolated(50).vertices
            for corner in np.array([xy for xy in corners if len(np.shape(xy)) == 1]):
                assert not np.all((points > corner + 0.12) & (points < corner + 0.88), axis=1).any(), (name, corner)


@pytest.mark.parametrize("product", [2e10, 8e10, 5e11])
@pytest.mark.parametrize("copy", [3e9, 9e9, 4e10])
def test_names_of_roofs_lie_on_no_line(product, copy):
    figure = figures.roofline_figure(DOTS, product, copy)
    figure.canvas.draw()
    axes = figure.axes[0]
    lines = [line for line in axes.get_lines() if same_color(line.get_color(), viz.LIGHT.muted)]
    roofs = [line.get_transform().transform(line.get_xydata()) for line in lines if len(line.get_xdata()) == 2]
    assert len(roofs) == 3
    for text in (text for text in axes.texts if re.match("products|Winograd", text.get_text())):
        box = text.get_window_extent()
        for start, end in roofs:
            points = start + np.linspace(0, 1, 2000)[:, None] * (end - start)
            inside = (points > (box.x0, box.y0)) & (points < (box.x1, box.y1))
            assert not inside.all(1).any(), text.get_text()
