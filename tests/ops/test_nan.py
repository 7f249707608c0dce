"""Fused ReLU, pooling and unpooling return NaN and infinity in the right places, and never lose them."""

import numpy as np
import pytest
from forms import amount
from properties import both, op

from tinysegnet import ops
from tinysegnet.ops import conv

WINDOWS = [(2, 2), (3, 2), (3, 1), (3, 3), (2, 3), (1, 1), ((2, 3), (1, 2)), ((3, 2), (3, 2))]
TILES = [(size, stride) for size, stride in WINDOWS if np.all(np.subtract(stride, size) >= 0)]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0]


def inference(name):
    """Return the result of conv2d_inference with ReLU by one of the algorithms."""
    return lambda x, weight, bias, padding: conv._inference(x, weight, bias, None, 1, padding, True, name)


ALGORITHMS = {
    "numpy": lambda *args: conv.conv2d_inference_numpy(*args[:3], padding=args[3], relu=True),
    "numba": lambda *args: conv.conv2d_inference_numba(*args[:3], padding=args[3], relu=True),
    **{name: inference(name) for name in ("direct", "winograd", "winograd_f6")},
}
KERNELS = [(name, K) for name in ALGORITHMS for K in (3, 5) if (name, K) != ("winograd_f6", 5)]


@pytest.mark.parametrize(("algorithm", "K"), KERNELS)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_fused_relu_keeps_nan_of_every_feature_and_pixel(algorithm, K, padding):
    """A bias of NaN or infinity fills its feature. Negative infinity becomes 0, and other features do not change."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 9, 10, 2)), rng.standard_normal((K, K, 2, 6))
    bias = np.array([0.5, *SPECIAL])
    plain, _ = conv.conv2d_forward_numpy(x, weight, padding=padding)
    infer = ALGORITHMS[algorithm]
    out = infer(x, weight, bias, padding)
    assert (plain > 0).any()
    assert (plain < -0.5).any()
    assert np.isnan(out[..., 1]).all()
    assert (out[..., 2] == np.inf).all()
    assert (out[..., 3] == 0).all()
    for f in (0, 4, 5):
        np.testing.assert_allclose(out[..., f], np.maximum(plain[..., f] + bias[f], 0), atol=1e-12)


@pytest.mark.parametrize(("algorithm", "K"), KERNELS)
def test_fused_relu_loses_no_nan_of_the_picture(algorithm, K):
    """Wherever the kernel reads a NaN, the result is NaN. Winograd's algorithms may spread it within a tile."""
    weight = np.random.default_rng(0).standard_normal((K, K, 2, 3))
    for y, column in amount([(0, 0), (3, 4), (4, 3), (8, 9)], list(np.ndindex(9, 10))):
        x = np.random.default_rng(1).standard_normal((2, 9, 10, 2))
        x[1, y, column, 0] = np.nan
        read = np.s_[1, max(y - K // 2, 0) : y + K // 2 + 1, max(column - K // 2, 0) : column + K // 2 + 1]
        out = ALGORITHMS[algorithm](x, weight, np.zeros(3), "same")
        assert np.isnan(out[read]).all()
        assert np.isfinite(out[0]).all()
        if algorithm in ("numpy", "direct"):
            assert np.isnan(out).sum() == out[read].size


@both
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 5, 7)], ids=str)
def test_relu_and_batchnorm2d_relu_are_exact_at_special_values(variant, shape):
    forward, backward = op("relu", variant)
    x = np.resize([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1.5], shape)
    out, cache = forward(x)
    np.testing.assert_array_equal(out, np.where(np.isnan(x), x, np.fmax(x, 0)))
    np.testing.assert_array_equal(backward(np.full(shape, 3.0), cache), np.where((x > 0) | np.isnan(x), 3.0, 0.0))
    if len(shape) == 4:
        one = np.ones(shape[3])
        (out, *_), cache = op("batchnorm2d_relu", variant)[0](x, one, 0 * one, mean=0 * one, var=one, eps=0.0)
        np.testing.assert_array_equal(out, np.where(np.isnan(x), x, np.fmax(x, 0)))


# --- pooling ---------------------------------------------------------------------------------------------------------


def special(shape, seed):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < 0.4, rng.choice(SPECIAL, shape), rng.integers(-2, 3, shape))


@both
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_first_nan_of_any_window_wins_and_otherwise_the_first_maximum(variant, window):
    size, stride = (np.broadcast_to(v, 2) for v in window)
    for seed in range(amount(3, 30)):
        x = special((2, 7, 8, 5), seed)
        (out, indices), _ = op("max_pool2d", variant)[0](x, size=window[0], stride=window[1])
        flat = ops.flat_plane_indices(indices, 5, (7, 8), size=window[0], stride=window[1])
        for n, y, column, c in np.ndindex(out.shape):
            top, left = y * stride[0], column * stride[1]
            part = [(x[n, i, j, c], i * 8 + j) for i in range(top, min(top + size[0], 7))
                    for j in range(left, min(left + size[1], 8))]  # fmt: skip
            largest = max(value for value, _ in part if value == value) if any(v == v for v, _ in part) else None
            best = next(((v, at) for v, at in part if v != v), None)
            best = best or next((v, at) for v, at in part if v == largest)
            np.testing.assert_array_equal(out[n, y, column, c], best[0])
            assert flat[n, y, column, c] == best[1]


@both
@pytest.mark.parametrize("window", TILES, ids=str)
def test_unpooling_moves_nan_and_infinity_and_puts_zeros_elsewhere(variant, window):
    settings = {"size": window[0], "stride": window[1]}
    (_, indices), cache = op("max_pool2d", variant)[0](
        np.random.default_rng(0).standard_normal((2, 7, 8, 5)), **settings
    )
    flat = ops.flat_plane_indices(indices, 5, (7, 8), **settings)
    values, dout = special(flat.shape, 1), special((2, 7, 8, 5), 2)
    expected = np.zeros((2, 7, 8, 5))
    gathered = np.empty(flat.shape)
    for n, y, column, c in np.ndindex(flat.shape):
        expected[n].reshape(56, 5)[flat[n, y, column, c], c] = values[n, y, column, c]
        gathered[n, y, column, c] = dout[n].reshape(56, 5)[flat[n, y, column, c], c]
    out, unpooled = op("max_unpool2d", variant)[0](values, indices, output_size=(7, 8), **settings)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(op("max_unpool2d", variant)[1](dout, unpooled), gathered)
    np.testing.assert_array_equal(op("max_pool2d", variant)[1](values, cache), expected)


@both
def test_overlapping_windows_add_infinite_gradients(variant):
    forward, backward = op("max_pool2d", variant)
    x = np.zeros((1, 3, 5, 1))
    x[0, 1, 2] = 9  # the maximum of both windows
    _, cache = forward(x, size=3, stride=2)
    for first, second in ((np.inf, 1.0), (np.nan, 1.0), (np.inf, -np.inf), (2.0, 3.0)):
        with np.errstate(invalid="ignore"):
            dx = backward(np.array([first, second]).reshape(1, 1, 2, 1), cache)
            np.testing.assert_array_equal(dx[0, 1, 2], [np.add(first, second)])
        assert np.count_nonzero(dx) == 1
