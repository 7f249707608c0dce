"""Pooling and unpooling with packed indices, for the 2x2 windows of SegNet that tile the picture.

A task processes one row of windows, which is two rows of the picture. Indices take two bits in memory. Each task
unpacks a whole row of them into bytes, `positions`, so packing and unpacking are simple loops. In `positions`, the
number of channels is rounded up to a multiple of four, and the extra entries are 0.

A window has few channels, too few for loops that the compiler vectorises. Therefore `largest`, `put` and `take` are
written with the vectors of `simd`: each processes one vector of channels of a window, or the rest of the channels. They
get the starts of the window's four pixels in the flat picture, and the starts of its channels in the pooled picture and
in `positions`. A clipped window has the same start twice, and its first pixel in reading order counts.
"""

import numpy as np

from ...runtime import JIT, kernel, prange

if not JIT:

    def lanes(array):
        """Return how many channels are processed together: here, all of them."""
        return array.shape[3]

    def largest(picture, a, b, c, d, pooled, at, positions, place, count):
        """Store the maximum of the pixels at a, b, c and d, and its position."""
        values = np.stack([picture[start : start + count] for start in (a, b, c, d)])
        positions[place : place + count] = values.argmax(0)  # the first maximum, or the first NaN
        pooled[at : at + count] = np.take_along_axis(values, values.argmax(0)[None], 0)[0]

    def put(picture, a, b, c, d, pooled, at, positions, place, count):
        """Store the values at their positions, and 0 in the other pixels."""
        for k, start in reversed(list(enumerate((a, b, c, d)))):
            chosen = positions[place : place + count] == k
            picture[start : start + count] = np.where(chosen, pooled[at : at + count], 0)

    def take(picture, a, b, c, d, pooled, at, positions, place, count):
        """Load the values at the positions."""
        values = np.stack([picture[start : start + count] for start in (a, b, c, d)])
        pooled[at : at + count] = np.take_along_axis(values, positions[None, place : place + count], 0)[0]

else:
    from .window_vectors import lanes, largest, put, take


@kernel(inline=True)
def _starts(task, column, picture):
    """Return the starts of the four pixels of a window in the flat picture."""
    _, H, W, C = picture.shape
    h = (H + 1) // 2
    upper, left = (task // h * H + task % h * 2) * W, 2 * column
    lower = upper + (W if task % h * 2 + 1 < H else 0)
    right = min(left + 1, W - 1)
    return (upper + left) * C, (upper + right) * C, (lower + left) * C, (lower + right) * C


@kernel(inline=True)
def _unpack(packed, positions):
    """Spread the four positions of each byte over the four bytes of a 32-bit number."""
    numbers = positions[: 4 * packed.size].view(np.uint32)
    for k in range(packed.size):
        four = np.uint32(packed[k])
        spread = four | four << np.uint32(6) | four << np.uint32(12) | four << np.uint32(18)
        numbers[k] = spread & np.uint32(0x03030303)


@kernel(inline=True)
def _pack(positions, packed):
    """Collect the positions in the four bytes of each 32-bit number in one byte."""
    numbers = positions[: 4 * packed.size].view(np.uint32)
    for k in range(packed.size):
        four = numbers[k]
        packed[k] = (four | four >> np.uint32(6) | four >> np.uint32(12) | four >> np.uint32(18)) & np.uint32(255)


@kernel
def pool(x, out, packed):
    """Pool x (N, H, W, C) into out (N, h, w, C) and packed (N, h, w, ceil(C / 4)), with clipping at the border."""
    C, (w, groups), width = x.shape[3], packed.shape[2:], lanes(x)
    picture, pooled, bytes_of_rows = x.reshape(-1), out.reshape(-1), packed.reshape(-1, w * groups)
    for task in prange(len(bytes_of_rows)):
        positions = np.zeros(4 * w * groups + width, np.uint8)
        for column in range(w):
            a, b, c, d = _starts(task, column, x)
            at, place = (task * w + column) * C, 4 * column * groups
            for k in range(0, C, width):
                largest(picture, a + k, b + k, c + k, d + k, pooled, at + k, positions, place + k, C - k)
        _pack(positions, bytes_of_rows[task])


@kernel
def scatter(x, packed, out):
    """Put x (N, h, w, C) at its packed positions in out (N, H, W, C), and zeros elsewhere."""
    C, (w, groups), width = x.shape[3], packed.shape[2:], lanes(x)
    picture, pooled, bytes_of_rows = out.reshape(-1), x.reshape(-1), packed.reshape(-1, w * groups)
    for task in prange(len(bytes_of_rows)):
        positions = np.empty(4 * w * groups + width, np.uint8)
        _unpack(bytes_of_rows[task], positions)
        for column in range(w):
            a, b, c, d = _starts(task, column, out)
            at, place = (task * w + column) * C, 4 * column * groups
            for k in range(0, C, width):
                put(picture, a + k, b + k, c + k, d + k, pooled, at + k, positions, place + k, C - k)


@kernel
def gather(dout, packed, dx):
    """Set dx (N, h, w, C) to the values of dout (N, H, W, C) at the packed positions."""
    C, (w, groups), width = dx.shape[3], packed.shape[2:], lanes(dx)
    picture, pooled, bytes_of_rows = dout.reshape(-1), dx.reshape(-1), packed.reshape(-1, w * groups)
    for task in prange(len(bytes_of_rows)):
        positions = np.empty(4 * w * groups + width, np.uint8)
        _unpack(bytes_of_rows[task], positions)
        for column in range(w):
            a, b, c, d = _starts(task, column, dout)
            at, place = (task * w + column) * C, 4 * column * groups
            for k in range(0, C, width):
                take(picture, a + k, b + k, c + k, d + k, pooled, at + k, positions, place + k, C - k)
