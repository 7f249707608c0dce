"""Resizing by its definition, in loops: pixel centres at (x + 1/2) / W, on the whole picture or on a box in it."""

import math

import numpy as np


def nearest(labels, size, box=None):
    """Return labels (H, W) at this size: the centre of each new pixel lies in one of the old ones."""
    left, top, right, bottom = box or (0, 0, labels.shape[1], labels.shape[0])
    rows = [math.floor(top + (y + 0.5) * (bottom - top) / size[0]) for y in range(size[0])]
    columns = [math.floor(left + (x + 0.5) * (right - left) / size[1]) for x in range(size[1])]
    return labels[np.ix_(rows, columns)]


def bilinear(planes, size):
    """Return planes (h, w, K) in float64 at this size: a triangle per axis, which is as wide as the larger pixel."""
    return np.einsum("yi,xj,ijk->yxk", _triangles(planes.shape[0], size[0]), _triangles(planes.shape[1], size[1]),
                     planes.astype(np.float64))  # fmt: skip


def _triangles(old, new):
    """Return the weights (new, old) along one axis. Each row has the sum 1, also at the border."""
    weights = np.zeros((new, old))
    for x in range(new):
        centre = (x + 0.5) * old / new
        for i in range(old):
            weights[x, i] = max(0, 1 - abs(i + 0.5 - centre) / max(1, old / new))
        weights[x] /= weights[x].sum()
    return weights
