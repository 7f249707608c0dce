"""Figures of a kernel over an array: numbers match the convolution, and windows are drawn where it reads."""

from __future__ import annotations

import numpy as np
import pytest
from figure_texts import assert_texts_apart_and_inside, cell_patches, number_in, texts_in
from forms import amount
from matplotlib.patches import Rectangle

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet_lessons import figures

X = np.arange(20.0).reshape(4, 5) % 7 - 2
W = np.array([[1, 0, -1], [2, 0.5, -2]])


@pytest.mark.parametrize("padding", ["same", "valid", 1])
@pytest.mark.parametrize("stride", [1, 2])
def test_kernel_is_drawn_where_convolution_reads(padding, stride):
    out, _ = ops.conv2d_forward(X[None, ..., None], W[..., None, None], stride=stride, padding=padding)
    out = out[0, ..., 0]
    for at in list(np.ndindex(out.shape))[:: amount(7, 3)]:
        figure = figures.show_kernel(X, W, at, stride=stride, padding=padding)
        cells = cell_patches(figure)
        products = [[number_in(figure, f"products[{i}, {j}]") for j in range(3)] for i in range(2)]
        np.testing.assert_allclose(np.sum(products), out[at])
        assert number_in(figure, f"out[{at[0]}, {at[1]}]") == out[at]
        (window,) = [p for p in figure.axes[0].patches if str(p.get_gid()).startswith("window[")
                     and not isinstance(p, Rectangle)]  # fmt: skip
        for i, j in np.ndindex(2, 3):
            under = [name for name, cell in cells.items() if name.startswith(("x[", "padding["))
                     and np.allclose(cell.get_xy(), (window.get_x() + j, window.get_y() + i))]  # fmt: skip
            value = number_in(figure, under[0]) if under[0].startswith("x[") else 0.0
            assert value == number_in(figure, f"window[{i}, {j}]")


def test_kernel_figure_writes_out_the_sum():
    figure = figures.show_kernel([[1, 2], [3, 4]], [[1, 0], [0, -1]], padding="valid")
    (sentence,) = [t.get_text() for t in figure.axes[0].texts if "sum" in t.get_text()]
    assert sentence.replace("\N{MINUS SIGN}", "-") == "out[0, 0] = sum of the products = 1 - 4 = -3"
    assert_texts_apart_and_inside(figure)


def test_kernel_figure_can_show_a_backward_with_its_names():
    figure = figures.show_kernel(X, W, (1, 1), names=("dout", "weight, flipped", "dx"))
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert {"dout, padded", "weight, flipped", "dx"} <= set(texts)
    assert any(text.startswith("dx[1, 1] = ") for text in texts)
    assert_texts_apart_and_inside(figure)


def test_kernel_strip_fills_the_output_in_reading_order():
    figure = figures.show_kernel_sliding(X, W, positions=[(0, 0), (1, 2)])
    titles = [
        t.get_text().replace("\N{MINUS SIGN}", "-") for t in figure.axes[0].texts if t.get_text().startswith("out")
    ]
    out, _ = ops.conv2d_forward(X[None, ..., None], W[..., None, None])
    assert [title.split(" = ")[0] for title in titles] == ["out[0, 0]", "out[1, 2]"]
    np.testing.assert_allclose([float(t.split(" = ")[1]) for t in titles], [out[0, 0, 0, 0], out[0, 1, 2, 0]])
    filled = [p for p in figure.axes[0].patches if str(p.get_gid()).startswith("out[") and texts_in(figure, p)]
    assert len(filled) == 1 + (5 + 3), "the first panel shows one number, the second eight"
    assert_texts_apart_and_inside(figure)


def test_kernel_strip_is_drawn_with_a_slider():
    assert figures.show_kernel_sliding(X, W, slider=True)._repr_png_().startswith(b"\x89PNG")


def test_show_kernel_rejects_kernels_that_do_not_fit():
    with pytest.raises(ShapeError, match="outside"):
        figures.show_kernel(X, W, (4, 0))
    with pytest.raises(ShapeError, match="fit"):
        figures.show_kernel(np.ones((1, 1)), W, padding="valid")
