"""Pooling and unpooling with 2x2 windows that tile the picture, SegNet's own: straight to packed indices and back.

A task takes a row of windows, two rows of the picture. What is two bits in memory is a byte, `where`, in the cache:
for the whole row at once, so that packing and unpacking are plain loops over bytes. `where` holds full groups
of four channels; the surplus stays 0.
"""

from __future__ import annotations

import numpy as np

from ...runtime import kernel, prange

__all__ = ["gather", "pool", "scatter"]


@kernel(inline=True)
def _pack(where, packed):
    for k in range(packed.size):
        packed[k] = where[4 * k] | where[4 * k + 1] << 2 | where[4 * k + 2] << 4 | where[4 * k + 3] << 6


@kernel(inline=True)
def _unpack(packed, where):
    for k in range(packed.size):
        four = packed[k]
        where[4 * k] = four & 3
        where[4 * k + 1] = four >> 2 & 3
        where[4 * k + 2] = four >> 4 & 3
        where[4 * k + 3] = four >> 6


@kernel
def pool(x, out, packed):
    """x (N, H, W, C) -> out (N, h, w, C) and packed (N, h, w, ceil(C / 4)); windows are clipped at the border."""
    N, H, W, C = x.shape
    h, w, groups = packed.shape[1:]
    for task in prange(N * h):
        n, y = task // h, task % h
        where = np.zeros((w, 4 * groups), packed.dtype)
        below = min(2 * y + 1, H - 1)  # a clipped window sees its only row, or column, twice: it cannot win again
        for column in range(w):
            right = min(2 * column + 1, W - 1)
            a, b = x[n, 2 * y, 2 * column], x[n, 2 * y, right]
            c, d = x[n, below, 2 * column], x[n, below, right]
            best, position = out[n, y, column], where[column]
            for k in range(C):
                # the next one wins if it is larger, or the first NaN: a NaN is neither <= nor == anything
                value, place = a[k], 0
                wins = not b[k] <= value and value == value
                value, place = (b[k] if wins else value), (1 if wins else place)
                wins = not c[k] <= value and value == value
                value, place = (c[k] if wins else value), (2 if wins else place)
                wins = not d[k] <= value and value == value
                best[k], position[k] = (d[k] if wins else value), (3 if wins else place)
        _pack(where.reshape(-1), packed[n, y].reshape(-1))


@kernel
def scatter(x, packed, out):
    """x (N, h, w, C) to the places that packed names in out (N, H, W, C), zeros elsewhere."""
    N, H, W, C = out.shape
    h, w, groups = packed.shape[1:]
    for task in prange(N * h):
        n, y = task // h, task % h
        where = np.empty((w, 4 * groups), packed.dtype)
        _unpack(packed[n, y].reshape(-1), where.reshape(-1))
        for i in range(min(2, H - 2 * y)):
            row = out[n, 2 * y + i]
            for column in range(w):
                value, position = x[n, y, column], where[column]
                for j in range(min(2, W - 2 * column)):
                    pixel = row[2 * column + j]
                    for k in range(C):
                        pixel[k] = value[k] if position[k] == 2 * i + j else 0


@kernel
def gather(dout, packed, dx):
    """dx (N, h, w, C) = dout (N, H, W, C) at the places that packed names."""
    N, H, W, C = dout.shape
    h, w, groups = packed.shape[1:]
    for task in prange(N * h):
        n, y = task // h, task % h
        where = np.empty((w, 4 * groups), packed.dtype)
        _unpack(packed[n, y].reshape(-1), where.reshape(-1))
        below = min(2 * y + 1, H - 1)  # of a clipped window no index points there
        for column in range(w):
            right = min(2 * column + 1, W - 1)
            a, b = dout[n, 2 * y, 2 * column], dout[n, 2 * y, right]
            c, d = dout[n, below, 2 * column], dout[n, below, right]
            value, position = dx[n, y, column], where[column]
            for k in range(C):
                upper = b[k] if position[k] == 1 else a[k]
                lower = d[k] if position[k] == 3 else c[k]
                value[k] = lower if position[k] >= 2 else upper
