"""COCO's polygons and run lengths as masks."""

import numpy as np


def fill_polygon(mask: np.ndarray, points: np.ndarray) -> None:
    """Set the pixels of a mask (H, W) bool whose centres are inside a polygon, by the even-odd rule.

    Coordinates start at the upper left corner of the first pixel, so the centre of pixel (row, column) is at
    x = column + 0.5 and y = row + 0.5. In each column that an edge crosses, it toggles all pixels below it.

    Args:
        points: (n, 2) float64, x and y of the corners.
    """
    height, width = mask.shape
    corners = points - 0.5  # now the centres of the pixels have whole numbers
    left, top = np.clip(np.ceil(corners.min(0)), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)), 0, [width, height]).astype(int)
    toggles = np.zeros((bottom - top + 1, right - left), bool)
    for start, end in zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True):
        (x0, y0), (x1, y1) = sorted((start, end))
        columns = np.arange(max(left, np.ceil(x0)), min(right, np.ceil(x1)), dtype=int)
        if len(columns):
            rows = np.ceil(y0 + (columns - x0) * ((y1 - y0) / (x1 - x0))) - top
            toggles[rows.clip(0, bottom - top).astype(int), columns - left] ^= True
    mask[top:bottom, left:right] |= np.logical_xor.accumulate(toggles, axis=0)[:-1]


def decode_runs(counts: str | list[int], height: int, width: int) -> np.ndarray:
    """Return the mask (H, W) bool of run lengths, which go down the columns and start with the pixels outside.

    Args:
        counts: the lengths as a list, or as COCO's compressed text.

    Raises:
        ValueError: a length is negative, or the sum is not H * W.
    """
    runs = _decompress(counts) if isinstance(counts, str) else counts
    if min(runs) < 0 or sum(runs) != height * width:
        raise ValueError(f"the run lengths of a mask do not add up to {width} x {height} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _decompress(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed text. Damaged text gives wrong lengths.

    A letter holds five bits of a number, lowest bits first, and one bit that says whether more follow. From the fourth
    run on, the number is the difference from the length two runs before.
    """
    runs: list[int] = []
    value = shift = 0
    for code in text.encode("ascii"):
        bits = code - 48
        value |= (bits & 31) << min(shift, 60)
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << (min(shift, 60) - 4)  # the highest bit of the last five is the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
