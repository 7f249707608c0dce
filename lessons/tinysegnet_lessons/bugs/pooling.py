"""Planted bugs of pooling and unpooling."""

from __future__ import annotations

import numpy as np

from tinysegnet.ops.indices import flat_plane_indices
from tinysegnet.ops.pool import max_pool2d_forward_numpy, max_unpool2d_backward_numpy

from .planted import planted, planted_in_both

__all__: list[str] = []


@planted_in_both(14, "max_pool2d", "pool_tie_to_all", "In a tie every maximum gets the gradient, not only the first.")
def _():
    def forward(x, **window):
        (out, indices), cache = max_pool2d_forward_numpy(x, **window)
        return (out, indices), (x, out, cache)

    def backward(dout, cache):
        x, out, (_, x_shape, size, stride) = cache
        dx = np.zeros(x_shape, dout.dtype)
        _, h, w, _ = dout.shape
        for i, j in np.ndindex(*size):
            here = np.s_[:, i :: stride[0], j :: stride[1]]
            tap = dx[here][:, :h, :w]  # the tap of a clipped window may lie outside the picture
            mine = np.s_[:, : tap.shape[1], : tap.shape[2]]
            tap += dout[mine] * (x[here][:, :h, :w] == out[mine])
        return dx

    return forward, backward


@planted(15, "max_pool2d", "pool_row_stride", "Flat indices assume rows of 2 w pixels, although W may be 2 w - 1.")
def _(dout, cache):
    indices, (N, H, W, C), size, stride = cache
    flat = flat_plane_indices(indices, C, (H, 2 * dout.shape[2]), size=size, stride=stride)  # true W: W
    dx = np.zeros((N, H * W, C), dout.dtype)
    n, c = np.arange(N)[:, None, None, None], np.arange(C)
    np.add.at(dx, (n, flat % (H * W), c), dout)
    return dx.reshape(N, H, W, C)


@planted(
    16, "max_unpool2d", "unpool_fixed_corner", "dx ignores the indices and is read from each window's top left pixel."
)
def _(dout, cache):
    return max_unpool2d_backward_numpy(dout, cache._replace(indices=np.zeros_like(cache.indices)))


@planted(17, "max_pool2d", "pool_overlap_overwritten",
         "Where windows overlap, two gradients for one pixel overwrite each other instead of adding up.")  # fmt: skip
def _(dout, cache):
    indices, (N, H, W, C), size, stride = cache
    flat = flat_plane_indices(indices, C, (H, W), size=size, stride=stride)
    dx = np.zeros((N, H * W, C), dout.dtype)
    dx[np.arange(N)[:, None, None, None], flat, np.arange(C)] = dout
    return dx.reshape(N, H, W, C)
