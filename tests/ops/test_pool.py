"""Properties of pooling, unpooling and their indices that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import both, op, pictures

from tinysegnet import ops
from tinysegnet.errors import ShapeError

windows = st.sampled_from([(2, 2), (3, 2), (3, 1), (3, 3), (2, 3), (1, 1), ((2, 3), (1, 2))])
tiles = st.sampled_from([(2, 2), (3, 3), (2, 3), (1, 1), ((2, 3), (2, 4))])


@both
@given(pictures(values="ties"), windows)
def test_pooling_takes_the_first_maximum_of_each_window(variant, drawn, window):
    x, _ = drawn
    size, stride = (np.broadcast_to(v, 2) for v in window)
    (out, indices), _ = op("max_pool2d", variant)[0](x, size=window[0], stride=window[1])
    flat = ops.flat_plane_indices(indices, x.shape[3], x.shape[1:3], size=window[0], stride=window[1])
    for n, y, column, c in np.ndindex(out.shape):
        top, left = y * stride[0], column * stride[1]
        part = x[n, top : top + size[0], left : left + size[1], c]
        row, offset = np.unravel_index(part.argmax(), part.shape)  # argmax returns the first maximum
        assert out[n, y, column, c] == part.max()
        assert flat[n, y, column, c] == (top + row) * x.shape[2] + left + offset


@both
@given(pictures(), windows)
def test_pooling_covers_the_picture_in_ceil_mode(variant, drawn, window):
    x, _ = drawn
    (out, _), _ = op("max_pool2d", variant)[0](x, size=window[0], stride=window[1])
    sizes = (np.broadcast_to(v, 2) for v in window)
    for n, pooled, size, stride in zip(x.shape[1:3], out.shape[1:3], *sizes, strict=True):
        assert pooled >= 1
        assert (pooled - 1) * stride < n  # no window starts outside the picture
        assert (pooled - 1) * stride + size >= n or pooled * stride >= n  # no pixel is left over, except in gaps


@both
@given(pictures(), windows)
def test_pooling_commutes_with_monotone_maps(variant, drawn, window):
    x, _ = drawn
    forward = op("max_pool2d", variant)[0]
    (out, indices), _ = forward(x, size=window[0], stride=window[1])
    (mapped, same), _ = forward(np.exp(x), size=window[0], stride=window[1])
    np.testing.assert_allclose(mapped, np.exp(out), rtol=1e-6)
    np.testing.assert_array_equal(indices, same)


@both
def test_pooling_has_the_sizes_of_the_paper(variant):
    forward = op("max_pool2d", variant)[0]
    assert forward(np.zeros((1, 45, 60, 1)))[0][0].shape == (1, 23, 30, 1)
    assert ops.max_pool2d_output_size((360, 480)) == (180, 240)


@both
@pytest.mark.parametrize("fill", [-np.inf, np.nan])
def test_window_of_minus_infinity_or_nan_has_a_valid_index(variant, fill):
    """A search for values greater than a minimum would leave the index unset, so unpooling could write anywhere."""
    x = np.full((1, 5, 3, 3), fill)
    (out, indices), _ = op("max_pool2d", variant)[0](x)
    np.testing.assert_array_equal(out, np.full(out.shape, fill))
    assert (indices == 0).all()


@both
def test_first_nan_of_a_window_wins(variant):
    x = np.array([[9.0, np.nan], [np.nan, 1.0]]).reshape(1, 2, 2, 1)
    (out, indices), _ = op("max_pool2d", variant)[0](x)
    assert np.isnan(out).all()
    assert indices.item() == 1


@both
@given(pictures(), tiles)
def test_unpooling_inverts_pooling_of_positive_values(variant, drawn, window):
    x, _ = drawn
    pool, unpool = op("max_pool2d", variant)[0], op("max_unpool2d", variant)[0]
    window = dict(zip(("size", "stride"), window, strict=True))
    (out, indices), _ = pool(np.abs(x), **window)
    sparse, _ = unpool(out, indices, output_size=x.shape[1:3], **window)
    assert sparse.shape == x.shape
    np.testing.assert_array_equal(pool(sparse, **window)[0][0], out)
    np.testing.assert_allclose(sparse.sum((1, 2)), out.sum((1, 2)), rtol=1e-5)
    assert (sparse != 0).sum() <= out.size
    np.testing.assert_array_equal(sparse[sparse != 0], np.abs(x)[sparse != 0])


@both
def test_unpooling_does_not_invert_pooling_of_negative_values(variant):
    """Unpooling puts zeros around negative values. SegNet pools after a ReLU, so its values are never negative."""
    x = np.full((1, 2, 2, 1), -1.0)
    (out, indices), _ = op("max_pool2d", variant)[0](x)
    sparse, _ = op("max_unpool2d", variant)[0](out, indices, output_size=(2, 2))
    assert op("max_pool2d", variant)[0](sparse)[0][0].item() == 0 != out.item()


@both
@given(pictures(), tiles)
def test_backward_of_pooling_is_unpooling_and_vice_versa(variant, drawn, window):
    x, rng = drawn
    window = dict(zip(("size", "stride"), window, strict=True))
    (out, indices), cache = op("max_pool2d", variant)[0](x, **window)
    dout = rng.standard_normal(out.shape).astype(x.dtype)
    sparse, back = op("max_unpool2d", variant)[0](dout, indices, output_size=x.shape[1:3], **window)
    np.testing.assert_array_equal(op("max_pool2d", variant)[1](dout, cache), sparse)
    np.testing.assert_array_equal(op("max_unpool2d", variant)[1](x, back), out)


@both
def test_unpooling_rejects_indices_that_do_not_fit(variant):
    unpool = op("max_unpool2d", variant)[0]
    (out, indices), _ = op("max_pool2d", variant)[0](np.arange(25.0).reshape(1, 5, 5, 1))
    with pytest.raises(ShapeError, match="overlap"):
        unpool(out, indices, output_size=(5, 5), size=3, stride=2)
    with pytest.raises(ShapeError, match=r"x .*\(N, 4, 4, C\)"):
        unpool(out, indices, output_size=(7, 7))
    with pytest.raises(ShapeError, match="outside"):
        unpool(out, np.full_like(indices, 3), output_size=(5, 5))
    with pytest.raises(ShapeError, match="do not belong to x"):
        unpool(out, indices[:, 1:], output_size=(5, 5))
    with pytest.raises(ShapeError, match="do not belong to x"):
        unpool(out, np.zeros((1, 3, 3, 2), np.uint8), output_size=(5, 5))


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_pack_indices_stores_positions_in_two_bits(C, pixels, seed):
    position = np.random.default_rng(seed).integers(0, 4, (pixels, C)).astype(np.uint8)
    packed = ops.pack_indices(position)
    assert packed.shape == (pixels, -(-C // 4))
    np.testing.assert_array_equal(ops.unpack_indices(packed, C), position)
    for c in range(4 * packed.shape[1]):  # channel c is in bits 2 (c % 4) of byte c // 4; padding bits are 0
        bits = packed[:, c // 4] >> 2 * (c % 4) & 3
        np.testing.assert_array_equal(bits, position[:, c] if c < C else 0)


def test_indices_take_a_sixteenth_of_float32():
    x = np.zeros((2, 8, 8, 64), np.float32)
    (out, indices), _ = ops.max_pool2d_forward(x)
    assert out.nbytes == 16 * indices.nbytes
    assert indices.shape == ops.indices_shape(out.shape)


@both
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 3), (2, 3), ((2, 3), (3, 4))], ids=str)
def test_unpooling_accepts_exactly_the_indices_inside_the_picture(variant, size, stride):
    """Try every index in every window of pictures whose last windows are clipped by each possible amount."""
    unpool, settings = op("max_unpool2d", variant)[0], {"size": size, "stride": stride}
    (size_y, size_x), (stride_y, stride_x) = np.broadcast_to(size, 2), np.broadcast_to(stride, 2)
    for H, W in np.ndindex(size_y + stride_y, size_x + stride_x):
        if H and W:
            h, w = ops.max_pool2d_output_size((H, W), **settings)
            for y, column, index in np.ndindex(h, w, size_y * size_x):
                position = np.zeros((1, h, w, 1), np.uint8)
                position[0, y, column] = index
                position = ops.pack_indices(position) if size == stride == 2 else position
                at = y * stride_y + index // size_x, column * stride_x + index % size_x
                x = np.arange(1.0, h * w + 1).reshape(1, h, w, 1)
                if at[0] < H and at[1] < W:
                    assert unpool(x, position, output_size=(H, W), **settings)[0][(0, *at)] == x[0, y, column]
                else:
                    with pytest.raises(ShapeError, match="outside the picture"):
                        unpool(x, position, output_size=(H, W), **settings)
    if not size == stride == 2:  # four positions fill two bits
        index = np.full((1, 2, 2, 1), size_y * size_x, np.uint8)
        with pytest.raises(ShapeError, match=r"exceeds|outside"):
            unpool(np.ones((1, 2, 2, 1)), index, output_size=(2 * stride_y, 2 * stride_x), **settings)
        index[:, 1:], index[:, :, 1:] = 0, 0
        with pytest.raises(ShapeError, match="exceeds"):
            unpool(np.ones((1, 2, 2, 1)), index, output_size=(2 * stride_y, 2 * stride_x), **settings)
