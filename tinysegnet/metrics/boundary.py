"""How well outlines are kept: the boundary F1 of SegNet's section 3.3 (after Csurka, Larlus, Perronnin, BMVC 2013).

G and mIoU hardly notice whether an outline is sharp or frayed: few pixels lie on it. So the outlines themselves are
compared, class by class in each picture. A mask's boundary map marks each pixel whose window with its neighbours to
the right, below and diagonally below, clipped to the picture, holds both values:

    B(mask)[i, j] = 1  if  mask[i:i+2, j:j+2] is not of one value

    T, P        pixels of B(labels == c) and B(predictions == c)
    t ~ p       |t - p| <= 0.0075 sqrt(H^2 + W^2): 4.5 pixels at 360x480, 1.2 at 96x128
    precision   pixels of P that have a partner in T / |P|
    recall      pixels of T that have a partner in P / |T|
    F1 of c     2 precision recall / (precision + recall);  0 if both are 0

A picture's score is the mean of F1 over its classes, BF the mean over pictures. `boundary_f1` gives partners one to
one: with M the most pairs t ~ p in which no pixel occurs twice, precision = M / |P|, recall = M / |T| and F1 =
2 M / (|P| + |T|). `boundary_f1_by_distance` lets one pixel be the partner of many, which reads higher or equal: a
frayed outline of twice the length still has partners for all its pixels.

Void. Where the window holds a pixel without a label, nobody knows whether there is a boundary: such pixels are removed
from T and P of all classes. So a prediction that is right on all labelled pixels scores 1, whatever it says on void. (A
boundary predicted close to void, whose true place may be in it, still counts as wrong.)
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from .confusion import check_label_maps

TOLERANCE = 0.0075  # of the picture's diagonal

Partners = Callable[[np.ndarray, np.ndarray, float], tuple[int, int]]


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """mask (H, W) -> (H, W) bool: the pixels whose window with those to the right and below holds two values.

    A label map as the mask gives the boundaries of all its classes. Equal to `seg2bdry` of the Berkeley benchmark in
    its "imageSize" form. Raises ShapeError unless there are two dimensions.

    >>> boundary_map(np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]])).astype(int).tolist()
    [[1, 1, 1], [1, 0, 0], [1, 0, 0]]
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ShapeError(f"mask: {mask.shape} (expected one picture, (H, W))")
    below, right = mask[:-1] != mask[1:], mask[:, :-1] != mask[:, 1:]
    boundary = np.zeros(mask.shape, bool)
    boundary[:-1] |= below
    boundary[:, :-1] |= right
    boundary[:-1, :-1] |= below[:, 1:] | right[1:]
    return boundary


def boundary_f1(
    labels: np.ndarray,
    predictions: np.ndarray,
    num_classes: int,
    ignore_label: int | None = None,
    *,
    tolerance: float = TOLERANCE,
    mask_void: bool = True,
    partners: Partners | None = None,
) -> float:
    """Mean boundary F1 over the classes of one picture, boundary pixels paired one to one.

    As in the SegNet authors' script a class counts if it has a boundary in the truth *or* in the prediction, and
    scores 0 if it has one in only one of them; the paper's text says "present in the ground truth". The script's
    matcher (BSDS's correspondPixels) minimises the sum of distances, with a penalty for unmatched pixels; here the
    number of pairs is maximal, so the score is never lower.

    Args:
        labels, predictions: (H, W); these and the next two as for `confusion_matrix`, also what it raises.
        tolerance: a fraction of the picture's diagonal.
        mask_void: False is what the authors' script does: the outline of void counts as a boundary of the classes
            around it, and so does what is predicted on void. Compare with the paper's figures only with False.
        partners: how boundary pixels are matched; None: one to one.

    Returns:
        The mean over the classes, in 0..1; NaN if no class has a boundary (0 in the script).
    """
    labels, predictions, labelled = check_label_maps(labels, predictions, num_classes, ignore_label)
    if labels.ndim != 2:
        raise ShapeError(f"labels: {labels.shape} (expected one picture, (H, W))")
    reach = tolerance * float(np.hypot(*labels.shape))
    known = np.ones(labels.shape, bool)
    if mask_void:  # whose 2 x 2 window, that of `boundary_map`, holds no void
        known = labelled.copy()
        known[:-1] &= labelled[1:]
        known[:, :-1] &= known[:, 1:]
    scores = []
    for k in range(num_classes):
        true, predicted = boundary_map(labels == k) & known, boundary_map(predictions == k) & known
        T, P = int(true.sum()), int(predicted.sum())
        found, right = (partners or _one_to_one)(true, predicted, reach) if T and P else (0, 0)
        if T or P:
            recall, precision = found / max(T, 1), right / max(P, 1)
            scores.append(2 * precision * recall / (precision + recall) if found else 0.0)
    return float(np.mean(scores)) if scores else float("nan")


def boundary_f1_by_distance(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None, **options: Any
) -> float:
    """As `boundary_f1`, but a boundary pixel counts if the other map has any within the tolerance: never lower.

    Many implementations do this and call it BF. It is not the paper's score; the two cannot be compared.
    """
    return boundary_f1(labels, predictions, num_classes, ignore_label, **options, partners=_by_distance)


def _one_to_one(true: np.ndarray, predicted: np.ndarray, reach: float) -> tuple[int, int]:
    """How many pixels of each have a partner of their own: the size of a maximum matching, twice.

    It is the largest flow source -> p -> t -> sink over all pairs p ~ t, each edge carrying one at most.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_flow
    from scipy.spatial import cKDTree

    pixels = np.argwhere(predicted), np.argwhere(true)
    near = cKDTree(pixels[0]).sparse_distance_matrix(cKDTree(pixels[1]), reach, output_type="ndarray")
    P, T = len(pixels[0]), len(pixels[1])
    nodes, sink = np.arange(1, P + T + 1), P + T + 1  # the source is 0, then come P and T
    tails = np.concatenate([np.zeros(P, int), 1 + near["i"], nodes[P:]])
    heads = np.concatenate([nodes[:P], 1 + P + near["j"], np.full(T, sink)])
    edges = csr_matrix((np.ones(len(tails), np.int32), (tails, heads)), shape=(sink + 1, sink + 1))
    # Not scipy's maximum_bipartite_matching: on some outlines its search tries every path, 5 s for 9,000 pairs.
    pairs = int(maximum_flow(edges, 0, sink).flow_value)
    return pairs, pairs


def _by_distance(true: np.ndarray, predicted: np.ndarray, reach: float) -> tuple[int, int]:
    from scipy.spatial import cKDTree

    T, P = np.argwhere(true), np.argwhere(predicted)
    # Beyond the bound a distance is infinite.
    of_T, _ = cKDTree(P).query(T, distance_upper_bound=reach + 1)
    of_P, _ = cKDTree(T).query(P, distance_upper_bound=reach + 1)
    return int((of_T <= reach).sum()), int((of_P <= reach).sum())
