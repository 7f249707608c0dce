"""Pooling indices: the position of each maximum in its window, in two bits.

Positions are row-major in the full window. For 2x2 windows they are

    0 1
    2 3

A position fits in two bits, so four channels share a byte. Channel c is in bits 2*(c % 4) of byte c // 4, and bits past
the last channel are 0. The SegNet paper counts the same memory (section 3: "2 bits for each 2 x 2 pooling window"):
1/16 of a float32 feature map, and 1/32 of PyTorch's int64 indices.
"""

import numpy as np

from ..errors import ShapeError
from .array_checks import pair


def is_packed(size, stride):
    """Return whether indices are packed into two bits, as they are for 2x2 windows that tile the picture."""
    return tuple(size) == (2, 2) and tuple(stride) == (2, 2)


def indices_shape(pooled_shape, size=(2, 2), stride=(2, 2)):
    """Return the shape of the uint8 indices that belong to a max_pool2d output of shape (N, h, w, C)."""
    *window, C = pooled_shape
    return (*window, -(-C // 4) if is_packed(size, stride) else C)


def pack_indices(position):
    """Pack positions 0..3, uint8 (..., C), into uint8 (..., ceil(C / 4)). Raises ShapeError for other arrays."""
    _check_bytes("positions", position)
    packed = np.zeros((*position.shape[:-1], -(-position.shape[-1] // 4)), np.uint8)
    for k in range(4):
        channels = position[..., k::4]
        packed[..., : channels.shape[-1]] |= channels << (2 * k)
    return packed


def unpack_indices(packed, num_channels):
    """Unpack uint8 (..., ceil(C / 4)) into positions 0..3, uint8 (..., C)."""
    _check_bytes("indices", packed)
    if packed.shape[-1] != -(-num_channels // 4):
        raise ShapeError(f"indices of {num_channels} channels need uint8 with {-(-num_channels // 4)} bytes per pixel, "
                         f"got {packed.shape}")  # fmt: skip
    position = (packed[..., None] >> np.array([0, 2, 4, 6], np.uint8)) & 3
    return position.reshape(*packed.shape[:-1], 4 * packed.shape[-1])[..., :num_channels]


def _check_bytes(what, array):
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim == 0:
        given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ShapeError(f"{what} must be a NumPy array of uint8 with at least one axis, got {given}")


def flat_plane_indices(indices, num_channels, input_size, *, size=2, stride=2):
    """Convert indices to the format of Caffe and PyTorch: y * W + x within each plane, int64 (N, h, w, C).

    input_size is (H, W) of the picture that was pooled. h and w do not determine it, because an odd W is 2 * w - 1.
    """
    size, stride = pair(size), pair(stride)
    position = unpack_indices(indices, num_channels) if is_packed(size, stride) else indices
    _check_bytes("indices", position)
    row, column = np.divmod(position.astype(np.int64), size[1])
    if position.ndim != 4:
        raise ShapeError(f"indices have the shape (N, h, w, bytes), got {indices.shape}")
    _, h, w, _ = position.shape
    y = row + (np.arange(h) * stride[0])[:, None, None]
    x = column + (np.arange(w) * stride[1])[:, None]
    return y * input_size[1] + x
