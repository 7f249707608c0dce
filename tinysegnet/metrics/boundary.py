"""Boundary F1, the quality of outlines: SegNet paper, section 3.3, after Csurka, Larlus and Perronnin (BMVC 2013).

    T, P        boundary pixels of a class in the labels and in the predictions (`boundary_map`)
    t ~ p       |t - p| <= 0.0075 sqrt(H^2 + W^2): 4.5 pixels at 360x480, 1.2 at 96x128
    precision   pixels of P that have a partner in T / |P|
    recall      pixels of T that have a partner in P / |T|
    F1          2 precision recall / (precision + recall);  0 if both are 0

The score of a picture is the mean of F1 over its classes, and BF is the mean over pictures. Lesson 10 explains why
`boundary_f1` matches pixels one to one. Where the window of `boundary_map` contains void, the true boundary is unknown,
so the pixel is removed from T and P.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from .confusion import check_label_maps

TOLERANCE = 0.0075  # as a fraction of the picture's diagonal

Partners = Callable[[np.ndarray, np.ndarray, float], tuple[int, int]]


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """Return the boundary map (H, W) bool of a mask (H, W): pixels whose 2 x 2 window contains different values.

    For a label map, it contains the boundaries of all classes. It equals `seg2bdry` of the Berkeley benchmark in its
    "imageSize" form. Raises ShapeError unless the mask has two dimensions.

    >>> boundary_map(np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]])).astype(int).tolist()
    [[1, 1, 1], [1, 0, 0], [1, 0, 0]]
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ShapeError(f"mask: a mask has shape (H, W), not {mask.shape}")
    below, right = mask[:-1] != mask[1:], mask[:, :-1] != mask[:, 1:]
    boundary = np.zeros(mask.shape, bool)
    boundary[:-1] |= below
    boundary[:, :-1] |= right
    boundary[:-1, :-1] |= below[:, 1:] | right[1:]
    return boundary


def boundary_f1(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None, *,
    tolerance: float = TOLERANCE, mask_void: bool = True, partners: Partners | None = None,
) -> float:  # fmt: skip
    """Return the mean boundary F1 over the classes of one picture, with boundary pixels matched one to one.

    As in the SegNet authors' script, a class counts if it has a boundary in the ground truth *or* in the prediction. If
    only one of the two has a boundary, the class scores 0. The script's matcher (BSDS's correspondPixels) minimises the
    sum of distances; here, the number of pairs is maximal, so the score is never lower than the script's.

    Args:
        labels, predictions: (H, W). Values, further arguments and errors are as for `confusion_matrix`.
        tolerance: the largest distance of a pair, as a fraction of the picture's diagonal.
        mask_void: whether to ignore void. If False, the outline of void counts as a boundary of the classes around it,
            and predictions on void count, as in the authors' script. To compare with the paper's figures, use False.
        partners: a function that matches boundary pixels. Default: one to one.

    Returns:
        The mean over the classes, in 0..1, or NaN if no class has a boundary (0 in the authors' script).
    """
    labels, predictions, labelled = check_label_maps(labels, predictions, num_classes, ignore_label)
    if labels.ndim != 2:
        raise ShapeError(f"labels: the labels of one picture have shape (H, W), not {labels.shape}")
    reach = tolerance * float(np.hypot(*labels.shape))
    known = np.ones(labels.shape, bool)
    if mask_void:  # known pixels have no void in their 2 x 2 window
        known = labelled.copy()
        known[:-1] &= labelled[1:]
        known[:, :-1] &= known[:, 1:]
    scores = []
    for k in range(num_classes):
        true, predicted = boundary_map(labels == k) & known, boundary_map(predictions == k) & known
        T, P = int(true.sum()), int(predicted.sum())
        if T and P:
            found, right = (partners or _one_to_one)(true, predicted, reach)
            recall, precision = found / T, right / P
            scores.append(2 * precision * recall / (precision + recall) if found else 0.0)
        elif T or P:
            scores.append(0.0)
    return float(np.mean(scores)) if scores else float("nan")


def boundary_f1_by_distance(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, ignore_label: int | None = None, **options: Any
) -> float:
    """Return `boundary_f1` with pixels matched by distance: any boundary pixel within the tolerance is a partner.

    Many implementations call this score BF, but it cannot be compared with the paper's.
    """
    return boundary_f1(labels, predictions, num_classes, ignore_label, **options, partners=_by_distance)


def _one_to_one(true: np.ndarray, predicted: np.ndarray, reach: float) -> tuple[int, int]:
    """Return the number of matched pixels in each of the two maps, which is the size of a maximum matching.

    It is the maximum flow source -> p -> t -> sink over all pairs p ~ t, where each edge has capacity 1.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_flow
    from scipy.spatial import cKDTree

    pixels = np.argwhere(predicted), np.argwhere(true)
    near = cKDTree(pixels[0]).sparse_distance_matrix(cKDTree(pixels[1]), reach, output_type="ndarray")
    P, T = len(pixels[0]), len(pixels[1])
    nodes, sink = np.arange(1, P + T + 1), P + T + 1  # the source is node 0, followed by P and T
    tails = np.concatenate([np.zeros(P, int), 1 + near["i"], nodes[P:]])
    heads = np.concatenate([nodes[:P], 1 + P + near["j"], np.full(T, sink)])
    edges = csr_matrix((np.ones(len(tails), np.int32), (tails, heads)), shape=(sink + 1, sink + 1))
    # scipy's maximum_bipartite_matching can be slow: on some outlines it takes 5 s for 9,000 pairs.
    pairs = int(maximum_flow(edges, 0, sink).flow_value)
    return pairs, pairs


def _by_distance(true: np.ndarray, predicted: np.ndarray, reach: float) -> tuple[int, int]:
    from scipy.spatial import cKDTree

    T, P = np.argwhere(true), np.argwhere(predicted)
    of_T, _ = cKDTree(P).query(T)
    of_P, _ = cKDTree(T).query(P)
    return int((of_T <= reach).sum()), int((of_P <= reach).sum())
