"""Transposed and depthwise convolution, compared with convolution: values, sizes and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import DTYPES, both, few, loose, op, pictures

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_variants
from tinysegnet.ops import conv_transpose
from tinysegnet.ops.engine import cost_model

paddings = st.sampled_from(["same", "valid", 1, (0, 2)])


def convolved(x, rng, K, F, **places):
    """Return a random weight, and conv2d of x by the definition."""
    weight = rng.standard_normal((K, K, x.shape[3], F)).astype(x.dtype)
    return weight, op("conv2d", "numpy")[0](x, weight, **places)[0]


# --- transposed ------------------------------------------------------------------------------------------------------


@both
@few
@given(pictures(least=4), st.integers(1, 4), st.integers(1, 3), paddings)
def test_conv_transpose2d_is_the_adjoint_of_conv2d(variant, drawn, K, stride, padding):
    """<conv(x), y> = <x, conv_transpose(y)> for every size of x."""
    x, rng = drawn
    places = {"stride": stride, "padding": padding}
    weight, out = convolved(x, rng, K, 3, **places)
    y = rng.standard_normal(out.shape).astype(x.dtype)
    back, _ = op("conv_transpose2d", variant)[0](y, weight, output_size=x.shape[1:3], **places)
    assert back.shape == x.shape
    one, other = (a.astype(float) * b for a, b in ((out, y), (back, x)))
    rounding = 1e-5 if x.dtype == np.float32 else 1e-13
    assert abs(one.sum() - other.sum()) <= rounding * np.abs(one).sum() + rounding * np.abs(other).sum()


@both
@few
@given(pictures(), st.sampled_from([1, 3, 5]))
def test_conv_transpose2d_with_stride_1_is_conv2d_with_the_rotated_kernel(variant, drawn, K):
    x, rng = drawn
    weight = rng.standard_normal((K, K, 2, x.shape[3])).astype(x.dtype)
    expected, _ = op("conv2d", "numpy")[0](x, weight[::-1, ::-1].swapaxes(2, 3))
    np.testing.assert_allclose(op("conv_transpose2d", variant)[0](x, weight)[0], expected, **loose(x))


@both
def test_conv_transpose2d_of_one_pixel_is_the_scaled_kernel(variant):
    weight, bias = np.random.default_rng(0).standard_normal((3, 2, 4, 1)), np.arange(4.0)
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 2] = 2
    out, _ = op("conv_transpose2d", variant)[0](x, weight, bias, stride=(3, 2), padding="valid")
    expected = np.broadcast_to(bias, (1, 9, 6, 4)).copy()
    expected[0, 3:6, 4:6] += 2 * weight[..., 0]
    np.testing.assert_allclose(out, expected, rtol=1e-14)


@few
@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), paddings)
def test_output_size_accepts_exactly_the_sizes_that_conv2d_maps_to_the_input(H, K, stride, padding):
    """The accepted sizes are consecutive, and the error for any other size lists them."""
    places = {"stride": stride, "padding": padding}
    fit = [n for n in range(1, 60) if ops.conv2d_output_size((n, 20), K, **places)[0] == H]
    width = ops.conv2d_output_size((20, 20), K, **places)[1]

    def size(n):
        return ops.conv_transpose2d_output_size((H, width), K, output_size=(n, 20), **places)

    assert [size(n) for n in fit] == [(n, 20) for n in fit]
    for n in {min(fit, default=1) - 1, max(fit, default=0) + 1}:
        with pytest.raises(ShapeError) as error:
            size(n)
        listed = f"{fit[0]}..{fit[-1]}" if len(fit) > 1 else str(fit[0]) if fit else "no"
        assert f"{listed} rows" in str(error.value)


def test_output_size_has_a_default_for_each_padding():
    size = ops.conv_transpose2d_output_size
    assert size((5, 7), 3) == (5, 7)
    assert size((5, 7), (3, 4), stride=2) == (10, 14)
    assert size((5, 7), 8, stride=8, padding=0) == (40, 56)
    assert size((5, 7), 4, stride=2, padding=1) == (10, 14)
    assert size((23, 30), 2, stride=2, output_size=(45, 60)) == (45, 60)


@pytest.mark.parametrize(("x", "weight", "bias", "places", "said"), [
    ((2, 3, 3, 2), (3, 3, 1, 3), None, {}, "x has 2 channels but weight"),
    ((3, 3, 2), (3, 3, 1, 2), None, {}, "KH, KW, F, C"),
    ((2, 0, 3, 2), (3, 3, 1, 2), None, {}, "empty"),
    ((2, 3, 3, 2), (3, 3, 4, 2), 2, {}, r"bias must have shape \(4,\)"),
    ((2, 3, 3, 2), (3, 3, 4, 2), None, {"stride": 0}, "stride"),
    ((2, 3, 3, 2), (3, 3, 4, 2), None, {"padding": "full"}, "padding"),
    ((2, 3, 3, 2), (3, 3, 4, 2), None, {"padding": -1}, "padding .*-1"),
    ((2, 3, 3, 2), (3, 3, 4, 2), None, {"output_size": (3, 4)}, r"output_size .*\(3, 4\).* 3 rows and 3 columns"),
    ((2, 3, 4, 2), (3, 3, 4, 2), None, {"stride": 2, "output_size": 9}, "output_size .* 5..6 rows and 7..8 columns"),
    ((2, 1, 4, 2), (1, 1, 4, 2), None, {"padding": (1, 0)}, "output_size .* no rows and 4 columns"),
    ((2, 3, 3, 2), (3, 3, 4, 2), None, {"output_size": "3x3"}, "whole numbers"),
])  # fmt: skip
def test_conv_transpose2d_rejects_arguments_that_do_not_fit(x, weight, bias, places, said):
    for forward, _ in find_variants("conv_transpose2d").values():
        with pytest.raises(ShapeError, match=said):
            forward(np.ones(x), np.ones(weight), None if bias is None else np.ones(bias), **places)


def test_large_conv_transpose2d_uses_winograd():
    """The cost model chooses Winograd's algorithm, and the result is right."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 33, 30, 32)), rng.standard_normal((3, 3, 32, 32)) / 17
    assert cost_model.choose_convolution((3, 3, 32, 32), (1, 1), x.shape) == "winograd_f4x3"
    for dtype in DTYPES:
        tolerance = 2e-5 if dtype == np.float32 else 1e-12
        arrays = [a.astype(dtype) for a in (x, weight, weight[0, 0, 0])]
        expected, cache = conv_transpose.conv_transpose2d_forward_numpy(*arrays)
        out, _ = conv_transpose.conv_transpose2d_forward_numba(*arrays)
        np.testing.assert_allclose(out, expected, atol=tolerance)
        pairs = zip(*(backward(out, cache) for _, backward in find_variants("conv_transpose2d").values()), strict=True)
        assert all(np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b) for a, b in pairs)


# --- depthwise -------------------------------------------------------------------------------------------------------


@both
@few
@given(pictures(least=4), st.integers(1, 4), st.integers(1, 3), paddings)
def test_depthwise_conv2d_is_conv2d_with_diagonal_matrices(variant, drawn, K, stride, padding):
    x, rng = drawn
    C = x.shape[3]
    weight, bias = (rng.standard_normal(shape).astype(x.dtype) for shape in ((K, K, 1, C), (C,)))
    places = {"stride": stride, "padding": padding}
    expected, whole = op("conv2d", "numpy")[0](x, weight * np.eye(C, dtype=x.dtype), bias, **places)
    out, cache = op("depthwise_conv2d", variant)[0](x, weight, bias, **places)
    np.testing.assert_allclose(out, expected, **loose(x))
    dout = rng.standard_normal(out.shape).astype(x.dtype)
    dx, dweight, dbias = op("conv2d", "numpy")[1](dout, whole)
    found = op("depthwise_conv2d", variant)[1](dout, cache)
    for a, b in zip(found, (dx, np.diagonal(dweight, axis1=2, axis2=3)[:, :, None], dbias), strict=True):
        np.testing.assert_allclose(a, b, **loose(x))


def test_vectors_of_float32_agree_with_the_definition():
    """A vector has up to 16 numbers, so 37 channels need a masked vector."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((1, 4, 13, 37), (3, 2, 1, 37), (37,))]
    out, expected = (op("depthwise_conv2d", variant)[0](*arrays, padding="valid")[0] for variant in ("numba", "numpy"))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("x", "weight", "bias", "said"), [
    ((2, 3, 3, 2), (3, 3, 2, 2), None, "one kernel per channel"),
    ((2, 3, 3, 2), (3, 3, 1, 3), None, "x has 2 channels"),
    ((2, 3, 3, 2), (3, 3, 1, 2), 3, r"bias must have shape \(2,\)"),
    ((2, 3, 3), (3, 3, 1, 3), None, "KH, KW, 1, C"),
])  # fmt: skip
def test_depthwise_conv2d_rejects_arguments_that_do_not_fit(x, weight, bias, said):
    for forward, _ in find_variants("depthwise_conv2d").values():
        with pytest.raises(ShapeError, match=f"depthwise_conv2d.*{said}"):
            forward(np.ones(x), np.ones(weight), None if bias is None else np.ones(bias))
        with pytest.raises(ShapeError, match="does not fit"):
            forward(np.ones((1, 3, 3, 2)), np.ones((5, 5, 1, 2)), padding="valid")


@both
@pytest.mark.parametrize("name", ["conv_transpose2d", "depthwise_conv2d"])
def test_backward_can_omit_the_input_gradient(variant, name):
    forward, backward = op(name, variant)
    weight = np.random.default_rng(0).standard_normal((3, 3, 1, 2))
    out, cache = forward(np.ones((2, 4, 5, 2)), weight)
    (dx, dweight, dbias), (none, same, _) = backward(out, cache), backward(out, cache, input_gradient=False)
    assert dx.shape == (2, 4, 5, 2)
    assert none is dbias is None
    np.testing.assert_array_equal(dweight, same)
