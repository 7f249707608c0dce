"""Pooling and unpooling with windows of any size and stride, with one byte per position."""

import numpy as np

from ...runtime import kernel, prange


@kernel
def pool(x, out, positions, size_y, size_x, stride_y, stride_x):
    """Pool x (N, H, W, C) into out and positions (N, h, w, C). Windows are clipped at the border."""
    N, H, W, C = x.shape
    h, w = out.shape[1:3]
    for task in prange(N * h):
        n, y = task // h, task % h
        for column in range(w):
            top, left = y * stride_y, column * stride_x
            best, position = out[n, y, column], positions[n, y, column]
            best[:] = x[n, top, left]
            position[:] = 0
            for i in range(min(size_y, H - top)):
                for j in range(min(size_x, W - left)):
                    here = np.uint8(i * size_x + j)
                    pixel = x[n, top + i, left + j]
                    for c in range(C):
                        # a pixel wins if it is larger or the first NaN; only a NaN differs from itself
                        wins = pixel[c] > best[c] or (pixel[c] != pixel[c] and best[c] == best[c])
                        best[c] = pixel[c] if wins else best[c]
                        position[c] = here if wins else position[c]


@kernel
def scatter(x, positions, out, size_y, size_x, stride_y, stride_x):
    """Add x to out at its positions. A task writes one row of out from the windows that overlap it."""
    N, H, W, C = out.shape
    h, w = x.shape[1:3]
    for task in prange(N * H):
        n, row = task // H, task % H
        first = max(0, (row - size_y + stride_y) // stride_y)
        out[n, row] = 0
        for y in range(first, min(row // stride_y + 1, h)):
            i = row - y * stride_y
            for column in range(w):
                for j in range(min(size_x, W - column * stride_x)):
                    here, pixel = np.uint8(i * size_x + j), out[n, row, column * stride_x + j]
                    value, position = x[n, y, column], positions[n, y, column]
                    for c in range(C):
                        pixel[c] += value[c] if position[c] == here else 0


@kernel
def gather(dout, positions, dx, size_y, size_x, stride_y, stride_x):
    """Set dx (N, h, w, C) to the values of dout (N, H, W, C) at the positions."""
    N, h, w, C = dx.shape
    H, W = dout.shape[1:3]
    for task in prange(N * h):
        n, y = task // h, task % h
        for column in range(w):
            value, position = dx[n, y, column], positions[n, y, column]
            value[:] = 0
            for i in range(min(size_y, H - y * stride_y)):
                for j in range(min(size_x, W - column * stride_x)):
                    here, pixel = np.uint8(i * size_x + j), dout[n, y * stride_y + i, column * stride_x + j]
                    for c in range(C):
                        value[c] += pixel[c] if position[c] == here else 0
