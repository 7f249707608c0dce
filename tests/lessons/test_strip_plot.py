"""Strip plots: positions of the dots, bars as wide as a tie, texts apart and inside."""

import numpy as np
import pytest
from figure_texts import assert_texts_apart_and_inside

from tinysegnet import viz
from tinysegnet.errors import ShapeError
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons import figures

PANELS = {
    "crossing, kB": {"one": [0], "another with a long name that goes on": [157.1], "third": [1000]},
    "mIoU, per cent": {"one": [45.7, 45.1], "another with a long name that goes on": [46.0, 47.0], "third": []},
}
SETTINGS = {"ties": {"mIoU, per cent": 1.5}, "others": {"mIoU, per cent": {"one": 43.3, "third": 50.0}}}


def drawn(axes, kind):
    return [line for line in axes.get_lines() if line.get_gid() == kind]


def test_strip_plot_has_one_dot_per_number_in_row_order():
    costs, scores = figures.show_strip_plot(PANELS, **SETTINGS).axes
    assert [list(line.get_xdata()) for line in drawn(costs, "dots")] == [[0], [157.1], [1000]]
    assert [list(line.get_xdata()) for line in drawn(scores, "dots")] == [[45.7, 45.1], [46, 47]]
    assert [line.get_ydata()[0] for line in drawn(costs, "dots")] == [0, 1, 2]
    assert [label.get_text() for label in costs.get_yticklabels()] == list(PANELS["crossing, kB"])
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in drawn(scores, "other")] == [(43.3, 0), (50, 2)]
    assert not drawn(costs, "bar")
    assert not drawn(costs, "other")


@pytest.mark.parametrize(("tie", "overlap"), [(1.0, False), (1.2, True)])
def test_bars_overlap_where_the_means_differ_by_less_than_a_tie(tie, overlap):
    """The means are 45.4 and 46.5."""
    _, scores = figures.show_strip_plot(PANELS, ties={"mIoU, per cent": tie}).axes
    (_, high), (low, _) = (line.get_xdata() for line in drawn(scores, "bar"))
    assert (low < high) == overlap
    assert np.ptp(drawn(scores, "bar")[0].get_xdata()) == pytest.approx(tie)


@pytest.mark.parametrize("theme", [viz.LIGHT, viz.DARK])
def test_strip_plot_texts_are_apart_and_inside(theme):
    figure = figures.show_strip_plot(
        PANELS, **SETTINGS, words=("a seed", "bars that overlap: a tie", "the paper"), theme=theme
    )
    assert_texts_apart_and_inside(figure)
    (key,) = figure.legends
    assert [text.get_text() for text in key.get_texts()] == ["a seed", "bars that overlap: a tie", "the paper"]


def test_strip_plot_key_names_only_what_is_drawn():
    (key,) = figures.show_strip_plot(PANELS).legends
    assert len(key.get_texts()) == 1


def test_same_dots_give_the_same_bytes():
    first, second = (figure_bytes(figures.show_strip_plot(PANELS, **SETTINGS)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("panels", "settings", "words"),
    [
        ({}, {}, "at least one"),
        ({"a": {"row": []}}, {}, "at least one"),
        ({"a": {"row": [np.nan]}}, {}, "finite"),
        (PANELS, {"ties": {"BF": 1.0}}, "'BF' is neither"),
        (PANELS, {"others": {"mIoU, per cent": {"fourth": 1.0}}}, "'fourth' is neither"),
    ],
)
def test_strip_plot_rejects_missing_values_and_unknown_rows(panels, settings, words):
    with pytest.raises(ShapeError, match=words):
        figures.show_strip_plot(panels, **settings)
