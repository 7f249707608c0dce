"""Linear ops are adjoint to their backward for 200 random shapes each: <A x, y> = <x, A^T y>.

The short form checks this for the cases of the gradient check, in test_laws.py.
"""

import numpy as np
import pytest

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_variants

pytestmark = pytest.mark.long
DRAWS = 200


def convolution(rng):
    """Draw the shapes of a convolution: N, H, W, C, F, KH, KW and its settings."""
    N, H, W, C, F, KH, KW, *stride = rng.integers(1, (4, 16, 16, 20, 20, 6, 6, 4, 4)).tolist()
    padding = ["same", "valid", int(rng.integers(0, 4)), tuple(rng.integers(0, 4, 2).tolist())][rng.integers(4)]
    return (N, max(H, KH), max(W, KW), C), F, (KH, KW), {"stride": tuple(stride), "padding": padding}


def conv2d(rng):
    shape, F, kernel, settings = convolution(rng)
    return [rng.standard_normal(s) for s in (shape, (*kernel, shape[3], F), F)], settings, (0, 1, 2)


def depthwise_conv2d(rng):
    shape, _, kernel, settings = convolution(rng)
    return [rng.standard_normal(s) for s in (shape, (*kernel, 1, shape[3]), shape[3])], settings, (0, 1, 2)


def conv_transpose2d(rng):
    (N, H, W, C), F, kernel, settings = convolution(rng)
    size = ops.conv2d_output_size((H, W), kernel, **settings)
    arrays = [rng.standard_normal(s) for s in ((N, *size, F), (*kernel, C, F), C)]
    return arrays, {**settings, "output_size": (H, W)}, (0, 1, 2)


def max_unpool2d(rng):
    size = int(rng.integers(1, 5))
    window = {"size": size, "stride": size}
    x = rng.standard_normal(rng.integers(1, (4, 16, 16, 20)))
    (out, indices), _ = find_variants("max_pool2d")["numpy"].forward(x, **window)
    return [rng.standard_normal(out.shape), indices], {"output_size": x.shape[1:3], **window}, (0,)


def batchnorm2d(rng):
    shape = rng.integers(1, (4, 16, 16, 20)) + (0, 1, 1, 0)
    arrays = [rng.standard_normal(shape), *rng.standard_normal((2, shape[3]))]
    if rng.random() < 0.5:  # with fixed statistics, it is also linear in x
        return arrays, {"mean": rng.standard_normal(shape[3]), "var": rng.uniform(0.5, 2, shape[3])}, (0, 1, 2)
    return arrays, {}, (1, 2)


def dropout(rng):
    x = rng.standard_normal(rng.integers(1, (4, 16, 16, 20)))
    return [x, rng.random(x.shape) < 0.7], {"rate": float(rng.uniform(0, 0.9))}, (0,)


def upsample_nearest2d(rng):
    x = rng.standard_normal(rng.integers(1, (4, 10, 10, 20)))
    return [x], {"factor": tuple(rng.integers(1, 6, 2).tolist())}, (0,)


upsample_bilinear2d = upsample_nearest2d
OPS = ["conv2d", "depthwise_conv2d", "conv_transpose2d", "max_unpool2d", "batchnorm2d", "dropout", "upsample_nearest2d",
       "upsample_bilinear2d"]  # fmt: skip


def first(result):
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("op", OPS)
def test_backward_is_the_adjoint_for_random_shapes(op):
    served = {}
    for k in range(DRAWS):
        arrays, settings, linear = globals()[op](np.random.default_rng([4, k]))
        y = None
        for variant, (forward, backward) in find_variants(op).items():
            try:
                out, cache = forward(*arrays, **settings)
            except ShapeError:
                assert variant not in ("numpy", "numba")
                continue
            y = np.random.default_rng([5, k]).standard_normal(first(out).shape) if y is None else y
            found = backward(y, cache)
            for at in linear:
                base = first(forward(*[0 * a if i == at else a for i, a in enumerate(arrays)], **settings)[0])
                gradient = (found if isinstance(found, tuple) else (found,))[at]
                left, right = (first(out) - base) * y, arrays[at] * gradient
                size = np.abs(left).sum() + np.abs(right).sum() + np.abs(base * y).sum()
                assert abs(left.sum() - right.sum()) <= 1e-12 * size, (variant, k, at)
            served[variant] = served.get(variant, 0) + 1
    assert served["numpy"] == served["numba"] == DRAWS
