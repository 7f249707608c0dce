"""Ops refuse arrays of another dtype or shape, lists, and settings that are no pairs."""

from __future__ import annotations

import numpy as np
import pytest

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_variants

# An op, and a function that returns its arguments.
OPS = [
    ("conv2d", lambda ones, dtype: [ones((1, 4, 5, 3)), ones((3, 3, 3, 2)), ones((2,))]),
    ("conv_transpose2d", lambda ones, dtype: [ones((1, 4, 5, 3)), ones((3, 3, 2, 3)), ones((2,))]),
    ("depthwise_conv2d", lambda ones, dtype: [ones((1, 4, 5, 3)), ones((3, 3, 1, 3)), ones((3,))]),
    ("relu", lambda ones, dtype: [ones((2, 3))]),
    ("softmax", lambda ones, dtype: [ones((2, 3))]),
    ("batchnorm2d", lambda ones, dtype: [ones((2, 3, 3, 2)), ones((2,)), ones((2,))]),
    ("max_pool2d", lambda ones, dtype: [ones((1, 4, 5, 3))]),
    ("sigmoid", lambda ones, dtype: [ones((2, 3))]),
    ("local_response_norm", lambda ones, dtype: [ones((2, 3))]),
    ("upsample_nearest2d", lambda ones, dtype: [ones((1, 4, 5, 3))]),
    ("upsample_bilinear2d", lambda ones, dtype: [ones((1, 4, 5, 3))]),
]


@pytest.mark.parametrize(("op", "arguments"), OPS, ids=[op for op, _ in OPS])
def test_ops_reject_mixed_and_unsupported_dtypes(op, arguments):
    """A kernel that mistakes one dtype for another would read garbage."""
    for forward, _ in find_variants(op).values():
        for dtype in (np.int64, np.uint8, np.float16, np.complex64, ">f4", ">f8", "<f4", "<f8"):
            if np.dtype(dtype) in (np.float32, np.float64):
                continue  # this machine's byte order
            with pytest.raises(ShapeError, match=f"{op} .*float32"):
                forward(*arguments(lambda shape, d=dtype: np.ones(shape, d), dtype))
        right = arguments(lambda shape: np.ones(shape, np.float32), np.float32)
        for k in range(len(right)):
            mixed = [a.astype(np.float64) if i == k else a for i, a in enumerate(right)]
            if len(right) > 1:
                with pytest.raises(ShapeError, match=r"float32 .* float64"):
                    forward(*mixed)


@pytest.mark.parametrize(("op", "arguments"), OPS, ids=[op for op, _ in OPS])
def test_backward_rejects_a_dout_of_another_shape_or_dtype(op, arguments):
    """A kernel would read past the end of a dout that is too small."""
    for forward, backward in find_variants(op).values():
        out, cache = forward(*arguments(np.ones, np.float64))
        first = out[0] if isinstance(out, tuple) else out
        swapped = first.astype(first.dtype.newbyteorder())
        for wrong in (first[..., :-1], np.ones((*first.shape[:-1], 7)), swapped, first.astype(np.float32)):
            if op == "max_pool2d" and wrong.dtype == np.float32:
                continue  # the backward of pooling only moves values
            with pytest.raises(ShapeError, match="dout"):
                backward(wrong, cache)


@pytest.mark.parametrize(("op", "arguments"), OPS, ids=[op for op, _ in OPS])
def test_ops_say_that_a_list_must_become_an_array(op, arguments):
    right = arguments(np.ones, np.float64)
    forward, backward = getattr(ops, f"{op}_forward"), getattr(ops, f"{op}_backward")
    for k in range(len(right)):
        with pytest.raises(ShapeError, match=rf"{op}_forward .*list.* numpy\.array"):
            forward(*[a.tolist() if i == k else a for i, a in enumerate(right)])
    out, cache = forward(*right)
    with pytest.raises(ShapeError, match=f"{op}_backward .*list"):
        backward((out[0] if isinstance(out, tuple) else out).tolist(), cache)


def test_max_unpool2d_rejects_a_dout_of_another_shape():
    x = np.random.default_rng(0).standard_normal((1, 5, 7, 3))
    (_, indices), _ = ops.max_pool2d_forward(x)
    for forward, backward in find_variants("max_unpool2d").values():
        _, cache = forward(np.ones((1, 3, 4, 3)), indices, output_size=(5, 7))
        for shape in [(1, 4, 7, 3), (1, 5, 7, 4), (2, 5, 7, 3)]:
            with pytest.raises(ShapeError, match="dout"):
                backward(np.ones(shape), cache)


@pytest.mark.parametrize("settings", [{"stride": (1, 1, 1)}, {"stride": 1.5}, {"padding": (1, 2, 3)}], ids=str)
def test_conv2d_rejects_strides_and_paddings_that_are_not_pairs(settings):
    for forward, _ in find_variants("conv2d").values():
        with pytest.raises(ShapeError, match="whole numbers"):
            forward(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1)), **settings)
