"""The ladder of times: positions of the dots, and labels inside the figure."""

import numpy as np
import pytest

from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons import figures

RUNGS = [("seven loops, Python", 61.0), ("NumPy", 0.02), ("a name that is much longer than all the others", 0.025),
         ("Winograd", 0.0009)]  # fmt: skip


def texts(figure):
    renderer = figure.canvas.get_renderer()
    found = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    return {text.get_text(): text.get_window_extent(renderer) for text in found}


def test_ladder_dots_are_milliseconds_and_labels_give_the_factor():
    figure = figures.show_ladder(RUNGS)
    dots = figure.axes[0].get_lines()[1]
    assert dots.get_xdata() == pytest.approx([61000, 20, 25, 0.9])
    assert list(dots.get_ydata()) == [0, 1, 2, 3]
    words = set(texts(figure))
    assert {"61,000 ms", "20.0 ms,  3,050 x faster", "25.0 ms,  1.25 x slower", "0.900 ms,  27.8 x faster"} <= words


@pytest.mark.parametrize("rungs", [RUNGS, RUNGS[:1], [("a", 1.0), ("b", 1.0)], [("a", 1e-7), ("b", 1e4)]])
def test_ladder_labels_stay_inside_the_figure(rungs):
    figure = figures.show_ladder(rungs)
    for text, box in texts(figure).items():
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text


def test_same_ladder_gives_the_same_bytes():
    assert figure_bytes(figures.show_ladder(RUNGS)) == figure_bytes(figures.show_ladder(RUNGS))


@pytest.mark.parametrize("rungs", [[], [("a", 0.0)], [("a", np.nan)], [("a", -1.0)], [("a", np.inf)]])
def test_ladder_rejects_missing_and_impossible_times(rungs):
    with pytest.raises(ShapeError, match="show_ladder"):
        figures.show_ladder(rungs)
