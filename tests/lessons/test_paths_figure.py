"""Paths of an optimizer over a valley of two parameters."""

import numpy as np
import pytest

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons import figures

AREA = {"x": (-4.0, 4.0), "y": (-2.0, 2.0)}


def valley(a, b):
    return (a**2 + 9 * b**2) / 2


def test_each_path_has_a_panel_with_first_and_last_point_marked():
    paths = {"slow": [(3, 1), (2, 0.5), (1, 0)], "fast": np.array([[3.0, 1.0], [0.0, 0.0]])}
    figure = figures.show_paths(valley, paths, **AREA)
    assert len(figure.axes) == 2
    for axes, (name, path) in zip(figure.axes, paths.items(), strict=True):
        line, ring, square = axes.get_lines()
        np.testing.assert_array_equal(np.stack(line.get_data(), 1), path)
        assert [float(ring.get_xdata()[0]), float(square.get_xdata()[0])] == [path[0][0], path[-1][0]]
        assert name in [text.get_text() for text in axes.texts]
        assert axes.get_xlim() == AREA["x"]


def test_same_paths_give_the_same_bytes():
    first, second = (figure_bytes(figures.show_paths(valley, {"a": [(1, 1), (0, 0)]}, **AREA)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("paths", [{}, {"a": []}, {"a": [(1, 2, 3)]}, {"a": [1, 2]}])
def test_show_paths_rejects_missing_and_malformed_paths(paths):
    with pytest.raises(ShapeError, match="show_paths"):
        figures.show_paths(valley, paths, **AREA)
