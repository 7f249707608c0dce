"""Figures of the lessons: numbers match the arrays, arrows match the ops' indices, frames match the cells."""

from __future__ import annotations

import numpy as np
import pytest
from figure_texts import assert_texts_apart_and_inside, cell_patches, number_in, texts_in
from forms import amount
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch

from tinysegnet import ops, viz
from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import signed_colors
from tinysegnet.viz.themes import readable
from tinysegnet_lessons import figures
from tinysegnet_lessons.figures.grid import Grid, number_texts

THEMES = pytest.mark.parametrize("theme", [viz.LIGHT, viz.DARK], ids=["light", "dark"])


def arrow_patches(figure):
    return {patch.get_gid(): patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)
            and patch.get_gid()}  # fmt: skip


# --- arrays --------------------------------------------------------------------------------------------------


def test_every_number_is_in_its_cell():
    x = np.array([[1.5, -2, 0], [np.nan, np.inf, -np.inf]])
    figure = figures.show_array(x, "x", indices=True)
    shown = [[number_in(figure, f"x[{i}, {j}]") for j in range(3)] for i in range(2)]
    np.testing.assert_array_equal(shown, x)
    assert_texts_apart_and_inside(figure)


def test_numbers_have_as_few_decimals_as_possible():
    assert number_texts(np.array([[1.0, 20.0]])).tolist() == [["1", "20"]]
    assert number_texts(np.array([[0.125, -1.0, 0.0]])).tolist() == [["0.125", "\N{MINUS SIGN}1.000", "0"]]
    assert number_texts(np.array([[1 / 3, 1e-9]])).tolist() == [["0.33", "≈0"]], "a tiny number must not look like 0"
    assert number_texts(np.array([[1 / 3]]), decimals=1).tolist() == [["0.3"]]
    assert number_texts(np.array([[True, False]]) * 1).tolist() == [["1", "0"]]


@THEMES
def test_colours_show_the_sign_and_numbers_are_readable(theme):
    figure = figures.show_array([[-4, -1, 0, 1, 4]], "x", theme=theme)
    colors = [np.array(cell_patches(figure)[f"x[0, {j}]"].get_facecolor()[:3]) for j in range(5)]
    np.testing.assert_allclose(colors[2], to_rgb(theme.paper), atol=0.02)
    assert all(c[2] > c[0] for c in colors[:2]), "blue below zero"
    assert all(c[0] > c[2] for c in colors[3:]), "orange above"

    def luminance(color):
        linear = np.where(
            np.array(color) <= 0.04045, np.array(color) / 12.92, ((np.array(color) + 0.055) / 1.055) ** 2.4
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    for shade in np.linspace(0, 1, 41):
        color = signed_colors(theme)(shade)[:3]
        low, high = sorted([luminance(color), luminance(to_rgb(readable(color, theme)))])
        assert (high + 0.05) / (low + 0.05) > 4, "contrast"


def test_one_colour_is_one_number_throughout_a_figure():
    figure = figures.show_arrays([("x", np.array([[2.0, 8.0]])), "+", ("y", np.array([[2.0]]))])
    cells = cell_patches(figure)
    assert cells["x[0, 0]"].get_facecolor() == cells["y[0, 0]"].get_facecolor() != cells["x[0, 1]"].get_facecolor()
    own = cell_patches(figures.show_array([[2.0]], "y", scale=8))
    assert own["y[0, 0]"].get_facecolor() == cells["y[0, 0]"].get_facecolor()


def test_arrays_have_signs_titles_frames_and_arrows():
    x, y = np.arange(12).reshape(3, 4), np.ones((2, 2))
    figure = figures.show_arrays(
        [("x", x), "*", ("a title that is longer than its array", y), "=", ("out", x)],
        highlight={"x": [np.s_[0:2, 1:3], (2, -1)], "out": (0, 0)}, arrows=[(("x", 2, 3), ("out", 0, 0))],
    )  # fmt: skip
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert {"x", "a title that is longer than its array", "out", "=", "\N{ASTERISK OPERATOR}"} <= set(texts)
    frames = {p.get_gid(): p for p in figure.axes[0].patches if str(p.get_gid()).startswith("frame")}
    cells = cell_patches(figure)
    first = frames["frame x[0, 1]"]
    assert (first.get_x(), first.get_y()) == cells["x[0, 1]"].get_xy()
    assert (first.get_width(), first.get_height()) == (2, 2)
    assert (frames["frame x[2, 3]"].get_x(), frames["frame x[2, 3]"].get_y()) == cells["x[2, 3]"].get_xy()
    assert set(arrow_patches(figure)) == {"x[2, 3] -> out[0, 0]"}
    assert_texts_apart_and_inside(figure)


@pytest.mark.parametrize("array", [np.zeros((2, 3, 3, 1)), np.zeros((0, 3)), np.zeros((25, 2)), np.array([["a"]]), 3.0])
def test_show_array_rejects_arrays_without_readable_cells(array):
    with pytest.raises(ShapeError, match="show"):
        figures.show_array(array, "show")


def test_highlight_rejects_wrong_cells_and_names():
    for where in [(0, 9), np.s_[5:6, 0], 3, (0, 0, 0)]:
        with pytest.raises(ShapeError, match="highlight"):
            figures.show_array(np.zeros((2, 2)), "x", highlight=where)
    with pytest.raises(ShapeError, match="x"):
        figures.show_arrays([("x", np.zeros((2, 2)))], highlight={"y": (0, 0)})


# --- the arrows of pooling -----------------------------------------------------------------------------------


def touches(patch, point):
    """Return whether a point is within a tenth of the upper or lower side of a cell."""
    x, y = patch.get_xy()
    return x < point[0] < x + 1 and min(abs(point[1] - y), abs(point[1] - y - 1)) < 0.1


@given(
    seed=st.integers(0, 10**6), H=st.integers(1, 8), W=st.integers(1, 8), kind=st.sampled_from(["ties", "real", "nan"])
)
@settings(max_examples=amount(4, 12), deadline=None)
def test_arrows_point_where_the_indices_say(seed, H, W, kind):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 2, (H, W)).astype(float) if kind != "real" else rng.normal(size=(H, W)).round(2) + 0.0
    if kind == "nan":
        x[rng.random((H, W)) < 0.2] = np.nan
    (out, indices), _ = ops.max_pool2d_forward(x[None, ..., None])
    changed = rng.integers(-9, 9, out.shape[1:3])
    unpooled, _ = ops.max_unpool2d_forward(changed[None, ..., None].astype(float), indices, output_size=(H, W))
    flat = ops.flat_plane_indices(indices, 1, (H, W))[0, ..., 0]
    figure = figures.show_pool_arrows(x, decoder_map=changed)
    cells, arrows = cell_patches(figure), arrow_patches(figure)
    assert len(arrows) == 2 * flat.size
    for r, c in np.ndindex(flat.shape):
        i, j = divmod(int(flat[r, c]), W)
        for start, end in ((f"x[{i}, {j}]", f"out[{r}, {c}]"), (f"map[{r}, {c}]", f"unpooled[{i}, {j}]")):
            name = f"{start} -> {end}"
            line = arrows[name]._path_original
            assert touches(cells[start], line.vertices[0]), name
            assert touches(cells[end], line.vertices[-1]), name
            assert cells[start].get_facecolor() == cells[end].get_facecolor(), "a window has one colour"
        assert texts_in(figure, cells[f"indices[{r}, {c}]"]) == [f"{i % 2 * 2 + j % 2}", f"{i % 2:d}{j % 2:d}"]
        np.testing.assert_equal(number_in(figure, f"out[{r}, {c}]"), out[0, r, c, 0])
    for i, j in np.ndindex(H, W):
        np.testing.assert_equal(number_in(figure, f"x[{i}, {j}]"), x[i, j])
        assert number_in(figure, f"unpooled[{i}, {j}]") == unpooled[0, i, j, 0]


def test_no_arrow_crosses_a_number():
    figure = figures.show_pool_arrows(np.random.default_rng(0).normal(size=amount((5, 6), (8, 8))).round(1))
    cells = [np.array([*patch.get_xy()]) for patch in cell_patches(figure).values()]
    for name, arrow in arrow_patches(figure).items():
        points = arrow._path_original.interpolated(20).vertices
        for corner in cells:
            inside = np.all((points > corner + 0.12) & (points < corner + 0.88), axis=1)
            assert not inside.any(), name


def test_ties_are_dashed_and_clipped_windows_explained():
    figure = figures.show_pool_arrows([[1, 1, 0], [1, 0, 0], [3, 3, 3]])
    cells = cell_patches(figure)
    assert {name for name in cells if name.startswith("tie")} == {"tie[0, 1]", "tie[1, 0]", "tie[1, 2]", "tie[2, 1]"}
    remarks = " ".join(t.get_text() for t in figure.axes[0].texts)
    assert "equal to the maximum" in remarks
    assert "outside the picture" in remarks
    plain = " ".join(t.get_text() for t in figures.show_pool_arrows([[1, 2], [3, 4]]).axes[0].texts)
    assert "equal to the maximum" not in plain
    assert "outside the picture" not in plain
    assert "NaN counts" in " ".join(t.get_text() for t in figures.show_pool_arrows([[1, np.nan]]).axes[0].texts)


@pytest.mark.parametrize("theme", amount([viz.LIGHT], [viz.LIGHT, viz.DARK]))
@pytest.mark.parametrize("size", amount([(1, 1), (5, 5)], [(1, 1), (1, 2), (4, 4), (5, 5), (8, 8), (3, 8), (8, 2)]))
def test_texts_of_the_pooling_figure_do_not_touch(size, theme):
    x = np.random.default_rng(1).integers(-3, 3, size)
    assert_texts_apart_and_inside(figures.show_pool_arrows(x, theme=theme))
    assert_texts_apart_and_inside(figures.show_pool_arrows(x, decoder_map=10 * ops.max_pool2d_forward(
        x[None, ..., None].astype(float))[0][0][0, ..., 0], theme=theme))  # fmt: skip


def test_pooling_figure_rejects_large_inputs_and_other_map_sizes():
    with pytest.raises(ShapeError, match="follow"):
        figures.show_pool_arrows(np.zeros((9, 2)))
    with pytest.raises(ShapeError, match="decoder_map"):
        figures.show_pool_arrows(np.zeros((5, 5)), decoder_map=np.zeros((2, 2)))


# --- feature maps --------------------------------------------------------------------------------------------


def test_feature_maps_share_one_scale():
    maps = np.zeros((4, 6, 5))
    maps[..., 1], maps[..., 2] = 3, -1
    figure = figures.show_feature_maps(maps, title="maps")
    *pictures, bar = figure.axes
    assert len(pictures) == 5
    for channel, axes in enumerate(pictures):
        (image,) = axes.images
        assert image.get_clim() == (-3, 3)
        np.testing.assert_array_equal(image.get_array(), maps[..., channel])
    assert bar.get_ylim() == (-3, 3)
    assert_texts_apart_and_inside(figure)


def test_feature_maps_are_limited_and_reject_batches():
    assert len(figures.show_feature_maps(np.ones((4, 4, 64)), most=6).axes) == 7
    assert_texts_apart_and_inside(
        figures.show_feature_maps(np.full((4, 40, 17), -1e-3), titles=[f"no. {i}" for i in range(17)])
    )
    with pytest.raises(ShapeError, match="one sample"):
        figures.show_feature_maps(np.zeros((1, 4, 4, 3)))


# --- all of them ---------------------------------------------------------------------------------------------


def test_figures_do_not_write_to_their_inputs():
    x = np.arange(20.0).reshape(4, 5)
    x.flags.writeable = False
    figures.show_array(x, "x")
    figures.show_kernel(x, x[:2, :2])
    figures.show_pool_arrows(x)
    figures.show_feature_maps(x[..., None])


def test_grid_is_never_wider_than_a_page():
    assert Grid(60, 10, viz.LIGHT).figure.get_size_inches()[0] == pytest.approx(11)
    assert Grid(6, 10, viz.LIGHT).figure.get_size_inches()[0] == pytest.approx(3)
