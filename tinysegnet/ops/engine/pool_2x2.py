"""Pooling and unpooling with packed indices, for the 2x2 windows of SegNet that tile the picture.

A task processes one row of windows, which is two rows of the picture. Indices take two bits in memory. Each task
unpacks a whole row of them into bytes, `positions`, so packing and unpacking are simple loops over bytes. In
`positions`, the number of channels is rounded up to a multiple of four, and the extra entries stay 0.
"""

import numpy as np

from ...runtime import kernel, prange


@kernel(inline=True)
def _pack(positions, packed):
    for k in range(packed.size):
        packed[k] = positions[4 * k] | positions[4 * k + 1] << 2 | positions[4 * k + 2] << 4 | positions[4 * k + 3] << 6


@kernel(inline=True)
def _unpack(packed, positions):
    for k in range(packed.size):
        four = packed[k]
        positions[4 * k] = four & 3
        positions[4 * k + 1] = four >> 2 & 3
        positions[4 * k + 2] = four >> 4 & 3
        positions[4 * k + 3] = four >> 6


@kernel
def pool(x, out, packed):
    """Pool x (N, H, W, C) into out (N, h, w, C) and packed (N, h, w, ceil(C / 4)), with clipping at the border."""
    N, H, W, C = x.shape
    h, w, groups = packed.shape[1:]
    for task in prange(N * h):
        n, y = task // h, task % h
        positions = np.zeros((w, 4 * groups), packed.dtype)
        below = min(2 * y + 1, H - 1)  # a clipped window reads its only row or column twice; the first reading wins
        for column in range(w):
            right = min(2 * column + 1, W - 1)
            upper_left, upper_right = x[n, 2 * y, 2 * column], x[n, 2 * y, right]
            lower_left, lower_right = x[n, below, 2 * column], x[n, below, right]
            best, position = out[n, y, column], positions[column]
            for c in range(C):
                # the next value wins if it is larger or the first NaN, for which <= and == are always False
                value, winner = upper_left[c], 0
                wins = not upper_right[c] <= value and value == value
                value, winner = (upper_right[c] if wins else value), (1 if wins else winner)
                wins = not lower_left[c] <= value and value == value
                value, winner = (lower_left[c] if wins else value), (2 if wins else winner)
                wins = not lower_right[c] <= value and value == value
                best[c], position[c] = (lower_right[c] if wins else value), (3 if wins else winner)
        _pack(positions.reshape(-1), packed[n, y].reshape(-1))


@kernel
def scatter(x, packed, out):
    """Put x (N, h, w, C) at its packed positions in out (N, H, W, C), and zeros elsewhere."""
    N, H, W, C = out.shape
    h, w, groups = packed.shape[1:]
    for task in prange(N * h):
        n, y = task // h, task % h
        positions = np.empty((w, 4 * groups), packed.dtype)
        _unpack(packed[n, y].reshape(-1), positions.reshape(-1))
        for i in range(min(2, H - 2 * y)):
            row = out[n, 2 * y + i]
            for column in range(w):
                value, position = x[n, y, column], positions[column]
                for j in range(min(2, W - 2 * column)):
                    pixel = row[2 * column + j]
                    for c in range(C):
                        pixel[c] = value[c] if position[c] == 2 * i + j else 0


@kernel
def gather(dout, packed, dx):
    """Set dx (N, h, w, C) to the values of dout (N, H, W, C) at the packed positions."""
    N, H, W, C = dout.shape
    h, w, groups = packed.shape[1:]
    for task in prange(N * h):
        n, y = task // h, task % h
        positions = np.empty((w, 4 * groups), packed.dtype)
        _unpack(packed[n, y].reshape(-1), positions.reshape(-1))
        below = min(2 * y + 1, H - 1)  # no index of a clipped window points to the second reading
        for column in range(w):
            right = min(2 * column + 1, W - 1)
            upper_left, upper_right = dout[n, 2 * y, 2 * column], dout[n, 2 * y, right]
            lower_left, lower_right = dout[n, below, 2 * column], dout[n, below, right]
            value, position = dx[n, y, column], positions[column]
            for c in range(C):
                upper = upper_right[c] if position[c] == 1 else upper_left[c]
                lower = lower_right[c] if position[c] == 3 else lower_left[c]
                value[c] = lower if position[c] >= 2 else upper
