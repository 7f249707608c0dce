"""Comparisons of every op and variant with PyTorch, for random shapes, to 1e-10 in float64 and 2e-6 in float32."""

from __future__ import annotations

import golden_values
import numpy as np
import pytest
from forms import amount

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_ops, find_variants

FEWEST = 4  # channels: the bias gradient of a single channel, a sum of noise, may be little more than rounding
# Random shapes per op. Of 300 shapes, some have gradients in float32 that are little more than rounding.
ROUNDS = {np.float64: amount(50, 300), np.float32: 50}
LIMITS = {np.float64: 1e-10, np.float32: 2e-6}


def conv2d(rng):
    kernel, stride = rng.integers(1, 6, 2), tuple(int(s) for s in rng.integers(1, 4, 2))
    H, W = rng.integers(1, 14, 2)
    padding = ["same", "valid", int(rng.integers(0, 4)), tuple(int(p) for p in rng.integers(0, 4, 2))][rng.integers(4)]
    if padding == "valid":
        H, W = H + kernel[0], W + kernel[1]
    elif padding != "same":
        H, W = max(H, kernel[0]), max(W, kernel[1])
    C, F = rng.integers(1, 20, 2)
    weight = rng.standard_normal((*kernel, C, F)) / np.sqrt(np.prod(kernel) * C)
    bias = rng.standard_normal(F) if rng.random() < 0.7 else None
    return [rng.standard_normal((rng.integers(1, 4), H, W, C)), weight, bias], {"stride": stride, "padding": padding}


def depthwise_conv2d(rng):
    (x, weight, bias), settings = conv2d(rng)
    *shape, C = x.shape
    C = max(C, FEWEST)
    weight = rng.standard_normal((*weight.shape[:2], 1, C)) / np.sqrt(np.prod(weight.shape[:2]))
    return [rng.standard_normal((*shape, C)), weight, None if bias is None else rng.standard_normal(C)], settings


def conv_transpose2d(rng):
    """Draw arguments that restore the size of a convolution's input, or that use the default size."""
    (picture, weight, bias), settings = conv2d(rng)
    (N, *size, _), (*kernel, F, C) = picture.shape, weight.shape
    H, W = ops.conv2d_output_size(size, kernel, **settings)
    F, weight = max(F, FEWEST), rng.standard_normal((*kernel, max(F, FEWEST), C)) / np.sqrt(np.prod(kernel) * C)
    if settings["padding"] not in ("same", "valid") or rng.random() < 0.7:
        settings |= {"output_size": tuple(map(int, size))}
    return [rng.standard_normal((N, H, W, C)), weight, None if bias is None else rng.standard_normal(F)], settings


def max_pool2d(rng):
    size = tuple(int(n) for n in rng.integers(1, 5, 2))
    window = [{}, {}, {"size": size, "stride": tuple(int(n) for n in rng.integers(1, 5, 2))}][rng.integers(3)]
    # PyTorch refuses pictures that are much smaller than the window, so they are not compared
    least = [k - s + 1 for k, s in zip(window.get("size", (2, 2)), window.get("stride", (2, 2)), strict=True)]
    shape = (rng.integers(1, 4), *np.maximum(rng.integers(1, 14, 2), least), rng.integers(1, 10))
    if rng.random() < 0.3:  # ties
        return [rng.integers(-1, 2, shape).astype(float)], window
    return [rng.standard_normal(shape)], window


def max_unpool2d(rng):
    """Draw flat plane indices from a pooling; our indices are computed from them."""
    size = int(rng.integers(1, 5))
    window = [{}, {"size": size, "stride": size}][rng.integers(2)]
    N, H, W, C = rng.integers(1, 4), *rng.integers(1, 14, 2), rng.integers(1, 10)
    import torch_ops

    _, indices = torch_ops.max_pool2d(torch_ops.torch.tensor(rng.standard_normal((N, H, W, C))), **window)
    return [rng.standard_normal(tuple(indices.shape)), indices.numpy()], {"output_size": (int(H), int(W)), **window}


def batchnorm2d(rng):
    N, H, W, C = rng.integers(1, 4), *rng.integers(1, 14, 2), rng.integers(1, 20)
    W = W if N * H * W > 3 else W + 3
    settings = {"eps": float(rng.choice([1e-5, 1e-3, 0.1]))}
    if rng.random() < 0.3:
        settings |= {"mean": rng.standard_normal(C), "var": rng.uniform(0.5, 2, C)}
    x = rng.standard_normal((N, H, W, C)) * rng.uniform(0.5, 2, C) + rng.uniform(-2, 2, C)
    return [x, rng.standard_normal(C), rng.standard_normal(C)], settings


batchnorm2d_relu = batchnorm2d


def relu(rng):
    shape = rng.integers(1, 14, 4)
    return [rng.integers(-1, 2, shape).astype(float) if rng.random() < 0.5 else rng.standard_normal(shape)], {}


def softmax(rng):
    return [rng.choice([1, 10]) * rng.standard_normal((*rng.integers(1, 10, 3), rng.integers(1, 20)))], {}


def sigmoid(rng):
    return [rng.choice([1, 10]) * rng.standard_normal(rng.integers(1, 10, 4))], {}


def dropout(rng):
    shape, rate = rng.integers(1, 14, 4), float(rng.choice([0, 0.25, 0.5, 0.9]))
    return [rng.standard_normal(shape), rng.random(shape) >= rate], {"rate": rate}


def local_response_norm(rng):
    settings = {"size": int(rng.choice([1, 3, 5, 7])), "alpha": float(rng.choice([1e-4, 0.5, 2])),
                "beta": float(rng.choice([0.5, 0.75, 1])), "k": float(rng.choice([0.5, 1, 2]))}  # fmt: skip
    return [rng.choice([1, 100]) * rng.standard_normal((*rng.integers(1, 10, 3), rng.integers(1, 20)))], settings


def upsample_nearest2d(rng):
    factor, size = rng.integers(1, 6, 2), rng.integers(1, 10, 2)
    output_size = [size * factor, size * factor - rng.integers(0, factor)][rng.integers(2)]
    settings = {"factor": tuple(map(int, factor)), "output_size": tuple(map(int, output_size))}
    return [rng.standard_normal((rng.integers(1, 4), *size, rng.integers(1, 10)))], settings


upsample_bilinear2d = upsample_nearest2d


def softmax_cross_entropy(rng):
    shape, K = rng.integers(1, 14, 3), int(rng.integers(1, 20))
    void = [None, 255, K][rng.integers(3)]
    labels = rng.integers(0, K, shape)
    if void is not None:
        labels[rng.random(shape) < 0.3] = void
        labels[0, 0, 0] = 0
    weights = rng.uniform(0.2, 5, K) if rng.random() < 0.6 else None
    settings = {"class_weights": weights, "ignore_label": void, "normalizer": ["count", "weights"][rng.integers(2)]}
    logits = rng.choice([1, 10]) * rng.standard_normal((*shape, K))
    return [logits, labels.astype(np.uint8)], settings | {"label_smoothing": float(rng.choice([0, 0.1, 0.5]))}


def focal_loss(rng):
    arrays, settings = softmax_cross_entropy(rng)
    given = {name: settings[name] for name in ("class_weights", "ignore_label")}
    return arrays, given | {"gamma": float(rng.choice([0, 1, 2, 5]))}


def dice_loss(rng):
    arrays, settings = softmax_cross_entropy(rng)
    return arrays, {"ignore_label": settings["ignore_label"]}


def sigmoid_cross_entropy(rng):
    shape = rng.integers(1, 14, 3)
    void = [None, 255, 2][rng.integers(3)]
    labels = rng.integers(0, 2, shape)
    if void is not None:
        labels[rng.random(shape) < 0.3] = void
        labels[0, 0, 0] = 0
    weights = rng.uniform(0.2, 5, 2) if rng.random() < 0.6 else None
    settings = {"class_weights": weights, "ignore_label": void, "normalizer": ["count", "weights"][rng.integers(2)]}
    return [rng.choice([1, 10]) * rng.standard_normal((*shape, 1)), labels.astype(np.uint8)], settings


def rounded(value, dtype):
    """Return float64 numbers that `dtype` can represent, so that both sides start from the same numbers."""
    return value.astype(dtype).astype(float) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def compare(op, arrays, kwargs, dtype, rng):
    """Return the largest relative error of each variant, compared with PyTorch in float64."""
    import torch_ops

    def dout(shape):
        return rounded(np.asarray(rng.standard_normal(shape) if shape else rng.uniform(0.5, 1.5)), dtype)

    results, gradients, cotangent = torch_ops.results_and_gradients(op, arrays, kwargs, dout)
    differentiable = [g for a, g in zip(arrays, gradients, strict=True) if a is None or a.dtype.kind == "f"]
    settings = dict(zip(kwargs, cast(kwargs.values(), dtype), strict=True))
    case = golden_values.Golden(
        op, "", cast(arrays, dtype), settings, np.asarray(cotangent, dtype), results, differentiable
    )
    found = {}
    for variant, (forward, backward) in find_variants(op).items():
        try:
            found[variant] = max(golden_values.differences(case, forward, backward).values())
        except ShapeError:
            assert variant not in ("numpy", "numba")
    return found


def cast(values, dtype):
    return [v.astype(dtype) if isinstance(v, np.ndarray) and v.dtype.kind == "f" else v for v in values]


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("op", find_ops())
def test_ops_return_what_pytorch_returns(op, dtype):
    if op not in globals():
        pytest.fail(f"no random arguments for {op} in {__file__}")
    worst: dict[str, float] = {}
    for k in range(ROUNDS[dtype]):
        rng = np.random.default_rng([2015, k])
        arrays, kwargs = globals()[op](rng)
        arrays = [rounded(a, dtype) for a in arrays]
        kwargs = {name: rounded(v, dtype) for name, v in kwargs.items()}
        for variant, error in compare(op, arrays, kwargs, dtype, rng).items():
            assert error <= LIMITS[dtype], f"{op} [{variant}] round {k}: {[np.shape(a) for a in arrays]} {kwargs}"
            worst[variant] = max(worst.get(variant, 0), error)
    print(op, np.dtype(dtype), {variant: f"{error:.1e}" for variant, error in worst.items()})


@pytest.mark.parametrize("seed", range(20))
def test_max_pool2d_indices_agree_with_pytorch(seed):
    """The same element wins everywhere: the first maximum of a tie, and NaN over everything."""
    import torch_ops

    rng = np.random.default_rng([7, seed])
    (x,), window = max_pool2d(rng)
    if seed % 2:
        x = np.where(rng.random(x.shape) < 0.1, np.nan, x)
        x = np.where(rng.random(x.shape) < 0.1, -np.inf, x)
    expected, indices = torch_ops.max_pool2d(torch_ops.torch.tensor(x), **window)
    for forward, _ in find_variants("max_pool2d").values():
        (out, ours), _ = forward(x, **window)
        np.testing.assert_array_equal(out, expected.numpy())
        flat = ops.flat_plane_indices(ours, x.shape[3], x.shape[1:3], **window)
        if not np.isnan(x).any():  # PyTorch selects the last of several NaN
            np.testing.assert_array_equal(flat, indices.numpy())
