"""Pooling and unpooling with 2x2 windows that tile the picture, SegNet's own: straight to packed indices and back.

A task takes a row of windows, two rows of the picture. Positions take two bits in memory. Each task unpacks a whole row
into bytes, `positions`, so packing and unpacking are plain loops over bytes. `positions` holds full groups of four
channels; the surplus stays 0.
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
    """x (N, H, W, C) -> out (N, h, w, C) and packed (N, h, w, ceil(C / 4)); windows are clipped at the border."""
    N, H, W, C = x.shape
    h, w, groups = packed.shape[1:]
    for task in prange(N * h):
        n, y = task // h, task % h
        positions = np.zeros((w, 4 * groups), packed.dtype)
        below = min(2 * y + 1, H - 1)  # a clipped window reads its only row, or column, twice: the second cannot win
        for column in range(w):
            right = min(2 * column + 1, W - 1)
            upper_left, upper_right = x[n, 2 * y, 2 * column], x[n, 2 * y, right]
            lower_left, lower_right = x[n, below, 2 * column], x[n, below, right]
            best, position = out[n, y, column], positions[column]
            for c in range(C):
                # the next one wins if it is larger, or the first NaN: a NaN is neither <= nor == anything
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
    """x (N, h, w, C) to its packed position in out (N, H, W, C), and zeros elsewhere."""
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
    """dx (N, h, w, C) = dout (N, H, W, C) at the packed positions."""
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
