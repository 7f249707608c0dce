"""Diagrams of networks: all layers are drawn, crossings are labelled, and the costs match the summary."""

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet_lessons import figures

SIZE = (45, 60)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("name", ts.models)
def test_diagram_contains_every_layer_of_every_model(name):
    model = ts.build(name, width=1 / 16)
    size = (44, 60) if name == "article" else SIZE
    figure = figures.show_network(model, size)
    drawn = {patch.get_gid() for patch in figure.axes[0].patches}
    assert set(model.layers) - {"input"} <= drawn
    assert figure.get_size_inches()[0] <= 11.01


def test_diagram_labels_crossings_with_their_bytes():
    model = ts.build("basic-encoder-addition", width=1 / 16)
    waiting = [row.skip_bytes for row in model.summary(SIZE).rows if row.skip_bytes]
    named = [text for text in texts(figures.show_network(model, SIZE)) if text.startswith(("indices,", "maps,"))]
    assert len(named) == len(waiting) == 7
    assert all(any(f", {count} B" in text for text in named) for count in waiting if count < 10_000)


def test_diagram_of_article_has_no_crossings():
    assert not any(
        "indices" in text for text in texts(figures.show_network(ts.build("article", width=1 / 16), (44, 60)))
    )


def test_diagram_shows_odd_sizes():
    shown = texts(figures.show_network(ts.build("tiny"), (360, 480)))
    assert {"360 x 480", "180 x 240", "90 x 120", "45 x 60", "23 x 30"} <= set(shown)


def test_costs_have_one_bar_per_convolution_and_add_up():
    model = ts.build("basic", width=1 / 16)
    summary = model.summary(SIZE)
    figure = figures.show_costs(model, SIZE)
    assert len(figure.axes) == 3
    for axes, column in zip(figure.axes, ("parameters", "kept", "multiply_adds"), strict=True):
        assert len(axes.patches) == 9
        unit = 1e9 if column == "multiply_adds" else 1e6
        assert np.isclose(sum(bar.get_width() for bar in axes.patches), summary.total(column) / unit)


def test_diagrams_can_be_shown_in_notebooks():
    for figure in (figures.show_network(ts.build("tiny"), SIZE), figures.show_costs(ts.build("tiny"), SIZE)):
        assert figure._repr_png_().startswith(b"\x89PNG")
        figures.show_network(ts.build("tiny"), SIZE, theme=viz.DARK)
