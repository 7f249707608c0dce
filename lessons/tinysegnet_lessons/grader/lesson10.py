"""Exercises of lesson 10: the confusion matrix, the scores of a data set, outlines, and the bootstrap."""

import numpy as np

from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.metrics import boundary_map, class_counts, confusion_matrix
from tinysegnet.metrics.confusion import averages

from .exercise import Challenge, Exercise, Prediction, generator

PREDICTIONS = {
    "rows_and_columns_swapped": Prediction("b", "G and IoU use the diagonal and t + p, which stay the same, but C "
                                                "divides by t."),
    "IoU_of_two_pictures_together": Prediction(15 / 16, "15 of the 16 pixels of class 1 were found, and no other pixel "
                                                        "was called 1.", tolerance=0.01),
    "BF_of_a_square_moved_by_one": Prediction(1.0, "Every boundary pixel has a partner one pixel to the side."),
}  # fmt: skip

# --- recall and precision ---------------------------------------------------------------------------------------------


def _recall_and_precision(matrix):
    right = np.diag(matrix)
    return right / matrix.sum(1), right / matrix.sum(0)


def _filled_cases():
    rng = generator(4)
    return [(np.array([[3, 1, 0], [2, 3, 0], [1, 0, 4]]),), (rng.integers(1, 9, (2, 2)),),
            (rng.integers(1, 60, (5, 5)),)]  # fmt: skip


# --- counting ---------------------------------------------------------------------------------------------------------


def _matrix_cases():
    rng = generator(0)
    labels = np.array([[0, 0, 1, 1], [0, 2, 1, 9], [2, 2, 1, 1], [2, 2, 0, 9]])
    predictions = np.array([[0, 1, 1, 1], [0, 2, 0, 2], [2, 2, 1, 0], [2, 0, 0, 1]])
    cases = [(labels, predictions, 3, 9)]
    for shape, K, void in (((2, 3, 5), 4, 4), ((6, 9), 32, 255)):
        labels, predictions = rng.integers(0, K, (2, *shape)).astype(np.uint8)
        labels[..., 1] = np.where(predictions[..., 1] % 2 == 0, void, labels[..., 1])
        cases.append((labels, predictions, K, void))
    nothing = np.full((2, 2), 9, np.uint8), np.zeros((2, 2), np.uint8)
    return [*cases, (*nothing, 3, 9)]


def _counted_by(labels_of=lambda labels, void: labels, after=lambda matrix: matrix):
    """Return a function that computes a confusion matrix from changed labels, or changes the matrix."""

    def wrong(labels, predictions, num_classes, ignore_label):
        labels = labels_of(labels.astype(int), ignore_label)
        return after(confusion_matrix(labels, predictions, num_classes, ignore_label))

    return wrong


def _bytes_overflow(labels, predictions, num_classes, ignore_label):
    keep = labels != ignore_label
    pairs = labels[keep].astype(np.uint8) * np.uint8(num_classes) + predictions[keep].astype(np.uint8)
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def _pairs_once(labels, predictions, num_classes, ignore_label):
    matrix, keep = np.zeros((num_classes, num_classes), int), labels != ignore_label
    matrix[labels[keep], predictions[keep]] += 1
    return matrix


# --- scores -----------------------------------------------------------------------------------------------------------


def _scores(matrices):
    return tuple(averages(class_counts(matrices.sum(0))))


def _scores_cases():
    rng = generator(1)
    absent = rng.integers(0, 9, (2, 4, 4))
    absent[:, 2, :] = absent[:, :, 2] = 0
    predicted = rng.integers(1, 9, (3, 4, 4))
    predicted[:, 1, :] = 0
    return [(np.array([[[3, 1, 0], [0, 4, 2], [1, 0, 5]], [[9, 0, 1], [0, 0, 1], [2, 0, 3]]]),), (absent,),
            (predicted,)]  # fmt: skip


def _averaged(accuracy=lambda n, t, p: n / t, IoU=lambda n, t, p: n / (t + p - n), mean=np.nanmean,
              G=lambda n, t, p, accuracy: n.sum() / t.sum()):  # fmt: skip
    """Return a function that computes G, C and mIoU with one step changed."""

    def wrong(matrices):
        n, t, p = class_counts(matrices.sum(0)).astype(float)
        return G(n, t, p, accuracy(n, t, p)), mean(accuracy(n, t, p)), mean(IoU(n, t, p))

    return wrong


def _mean_of_pictures(matrices):
    return tuple(np.mean([averages(class_counts(matrix)) for matrix in matrices], axis=0))


def _only_labelled(n, t, p):
    return np.where(t > 0, n / (t + p - n), np.nan)


def _bootstrap_cases():
    rng = generator(5)
    cases = []
    for N, K, R in ((3, 2, 2), (5, 4, 6), (8, 11, 4)):
        matrices = rng.integers(0, 9, (N, K, K)) * (rng.random((N, K, 1)) < 0.6)
        matrices[:, 0, 0] += 1
        draws = rng.integers(0, N, (R, N))
        draws[0, :2] = 0  # a picture that is drawn twice counts twice
        cases.append((matrices, draws))
    return cases


def _bootstrapped(score=lambda matrices: _scores(matrices)[2], rows=lambda row: row, summary=np.array):
    """Return a function that computes the mIoU of each row of draws with one step changed."""
    return lambda matrices, draws: summary([score(matrices[rows(row)]) for row in draws])


_bootstrap_mIoU = _bootstrapped()


def _mean_mIoU(matrices):
    return np.mean([_scores(matrix[None])[2] for matrix in matrices])


# --- a high G and a low mIoU ------------------------------------------------------------------------------------------


def _misleading_prediction(labels):
    """Spend the wrong pixels on the rarest classes, and predict each absent class at one of them."""
    pixels = np.bincount(labels[labels < 11], minlength=11)
    order = np.argsort(pixels, kind="stable")
    places = np.concatenate([np.flatnonzero(labels == k) for k in order])[: pixels.sum() // 10]
    absent = np.flatnonzero(pixels == 0)
    out = np.where(labels == 11, 0, labels).ravel()
    out[places] = order[-1]
    out[places[: len(absent)]] = absent
    return out.reshape(labels.shape)


def _mean_mIoU_of_misleading_predictions(answer):
    streets = ToyScenes(6, seed=20, size=(48, 64))
    found = []
    for labels in (streets[number].labels for number in range(6)):
        predictions = np.asarray(answer(labels.copy()))
        if predictions.shape != labels.shape or not np.isin(predictions[labels < 11], range(11)).all():
            found.append(1.0)
            continue
        G, _, mIoU = _scores(confusion_matrix(labels, predictions.astype(int), 11, 11)[None])
        found.append(mIoU if G >= 0.9 else 1.0)
    return float(np.mean(found))


# --- boundaries -------------------------------------------------------------------------------------------------------


def _boundary_cases():
    rng = generator(2)
    small = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]], bool)
    return [(small,), (rng.random((5, 7)) < 0.3,), (rng.integers(0, 3, (6, 4)),), (np.array([[0, 1, 1, 0, 0, 1]]),)]


def _neighbours_differ(steps, ahead=True, both=False):
    """Return a function that marks pixels that differ from neighbours at `steps`, or these neighbours, or both."""

    def wrong(mask):
        out = np.zeros(mask.shape, bool)
        H, W = mask.shape
        for down, right in steps:
            differ = mask[: H - down, : W - right] != mask[down:, right:]
            if ahead:
                out[: H - down, : W - right] |= differ
            if both or not ahead:
                out[down:, right:] |= differ
        return out

    return wrong


RIGHT, BELOW, DIAGONAL = (0, 1), (1, 0), (1, 1)


def _round_the_edge(mask):
    shifted = [np.roll(mask, (-down, -right), (0, 1)) for down, right in (RIGHT, BELOW, DIAGONAL)]
    return np.any([mask != other for other in shifted], axis=0)


def _f1_cases():
    rng = generator(3)
    true, frayed = np.zeros((2, 6, 8), bool)
    true[2, 1:7] = True
    frayed[[1, 3, 2, 4], [1, 2, 3, 3]] = True
    cases = [(true, frayed, 1.0), (true, frayed, 1.5), (true, frayed, 2.0)]
    cases += [(rng.random((7, 9)) < 0.15, rng.random((7, 9)) < 0.1, reach) for reach in (1.0, 1.5, 2.0)]
    far = np.zeros((6, 8), bool)
    far[5, 7] = True
    corner = np.zeros((6, 8), bool)
    corner[1, 0] = True  # one step down and one to the left of an end of the line
    return [*cases, (true, corner, 1.5), (true, far, 1.0), (true, np.zeros((6, 8), bool), 2.0)]


def _euclidean(down, right):
    return np.hypot(down, right)


def _harmonic(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _f1_by(distance=_euclidean, near=np.less_equal, together=_harmonic):
    """Return a function that computes F1 by distance with one step changed."""

    def f1(true, predicted, reach):
        T, P = np.argwhere(true), np.argwhere(predicted)
        if not len(T) or not len(P):
            return 0.0
        down, right = np.moveaxis(P[:, None] - T, -1, 0)
        found = near(distance(down, right), reach)
        return float(together(found.any(1).mean(), found.any(0).mean()))

    return f1


def _undivided(precision, recall):
    with np.errstate(all="ignore"):
        return np.float64(2 * precision * recall) / (precision + recall)


_boundary_f1 = _f1_by()

EXERCISES = [
    Exercise(
        name="recall_and_precision",
        tier="warm-up",
        results=("recall", "precision"),
        reference=_recall_and_precision,
        cases=_filled_cases,
        mistakes={
            "Recall and precision are swapped. Recall divides by t, the sums of the rows.":
                lambda matrix: _recall_and_precision(matrix)[::-1],
            "Both are divided by the sums of the rows. Precision divides by p, the sums of the columns.":
                lambda matrix: (_recall_and_precision(matrix)[0],) * 2,
            "The counts are divided by the number of all pixels. Divide by the sum of a row or a column.":
                lambda matrix: (np.diag(matrix) / matrix.sum(),) * 2,
            "These are tables of shares. Return only the diagonals, (K,).":
                lambda matrix: (matrix / matrix.sum(1, keepdims=True), matrix / matrix.sum(0)),
            "These are the shares of the wrong pixels. Divide the diagonal instead.":
                lambda matrix: tuple(1 - value for value in _recall_and_precision(matrix)),
        },
    ),
    Exercise(
        name="confusion_matrix",
        results=("matrix",),
        reference=lambda labels, predictions, num_classes, ignore_label: confusion_matrix(
            labels, predictions, num_classes, ignore_label
        ),
        cases=_matrix_cases,
        mistakes={
            "Rows and columns are swapped. The row is the true class, the column the predicted class.":
                _counted_by(after=np.transpose),
            "Void pixels are counted as class 0. Leave void pixels out.":
                _counted_by(labels_of=lambda labels, void: np.where(labels == void, 0, labels)),
            "matrix[labels, predictions] += 1 counts repeated pairs only once. Use np.bincount or np.add.at.":
                _pairs_once,
            "The labels are bytes, and labels * num_classes does not fit into a byte. Convert to int first.":
                _bytes_overflow,
            "These are shares of each row. Return counts, since only counts add up over pictures.":
                _counted_by(after=lambda matrix: matrix / np.maximum(matrix.sum(1, keepdims=True), 1)),
            "Only right pixels are counted. Wrong pixels belong off the diagonal.":
                _counted_by(after=lambda matrix: np.diag(np.diag(matrix))),
        },
    ),
    Exercise(
        name="scores_of_a_set",
        results=("G", "C", "mIoU"),
        reference=_scores,
        cases=_scores_cases,
        mistakes={
            "This is the mean of the pictures' scores. Add the matrices up first.": _mean_of_pictures,
            "Rows and columns are swapped. In n / t, t is the sum of a row, the true class.":
                lambda matrices: _scores(matrices.transpose(0, 2, 1)),
            "A class that is absent counts as 0. Leave absent classes out of the mean.":
                _averaged(mean=lambda values: np.nan_to_num(values).mean()),
            "An absent class has the accuracy 0 / 0. Leave absent classes out of the mean.": _averaged(mean=np.mean),
            "The union counts the intersection twice. Use t + p - n.": _averaged(IoU=lambda n, t, p: n / (t + p)),
            "A class that was predicted although it is absent has IoU 0 and counts towards mIoU.":
                _averaged(IoU=_only_labelled),
            "This G is the mean over the classes, which is C. Compute G over all pixels.":
                _averaged(G=lambda n, t, p, accuracy: np.nanmean(accuracy)),
            "This mIoU is the sum of intersections over the sum of unions. Take one ratio per class, then the mean.":
                _averaged(IoU=lambda n, t, p: n.sum() / (t + p - n).sum()),
        },
    ),
    Exercise(
        name="boundary_map",
        results=("boundary",),
        reference=lambda mask: boundary_map(mask),
        cases=_boundary_cases,
        mistakes={
            "The diagonal neighbour is missing. The window has four pixels.": _neighbours_differ((RIGHT, BELOW)),
            "Both sides of the edge are marked. Mark only the pixel with the edge on its right or below it.":
                _neighbours_differ((RIGHT, BELOW, DIAGONAL), both=True),
            "The last row is compared with the first, because np.roll wraps around. Clip windows at the border.":
                _round_the_edge,
            "The window extends up and to the left. The window must extend down and to the right.":
                _neighbours_differ((RIGHT, BELOW, DIAGONAL), ahead=False),
            "Only edges between columns are found. Also compare with the row below.": _neighbours_differ((RIGHT,)),
            "Only pixels inside the mask are marked. Also mark outside pixels whose window contains the edge.":
                lambda mask: boundary_map(mask) & (mask > 0),
        },
    ),
    Exercise(
        name="boundary_f1_by_distance",
        results=("F1",),
        reference=_boundary_f1,
        cases=_f1_cases,
        mistakes={
            "This is the precision alone. Combine precision with recall.":
                _f1_by(together=lambda precision, recall: precision),
            "This is the recall alone. Combine recall with precision.":
                _f1_by(together=lambda precision, recall: recall),
            "This is the arithmetic mean of precision and recall. F1 is 2 P R / (P + R).":
                _f1_by(together=lambda precision, recall: (precision + recall) / 2),
            "A pixel at exactly the reach also counts. Use <=.": _f1_by(near=np.less),
            "The squared distance is compared with the reach. Take the root.":
                _f1_by(lambda down, right: down**2 + right**2),
            "The larger of the two differences is not the distance. Take the root of the sum of squares.":
                _f1_by(lambda down, right: np.maximum(abs(down), abs(right))),
            "Row and column differences are added. Take the root of the sum of squares.":
                _f1_by(lambda down, right: abs(down) + abs(right)),
            "If no pixel has a match, F1 is 0 / 0. Return 0 instead.": _f1_by(together=_undivided),
        },
    ),
    Exercise(
        name="bootstrap_mIoU",
        results=("scores",),
        reference=lambda matrices, draws: _bootstrap_mIoU(matrices, draws),
        cases=_bootstrap_cases,
        mistakes={
            "This is the mean of the pictures' scores. Add the matrices of a row up first.":
                _bootstrapped(score=_mean_mIoU),
            "A picture that is drawn twice must count twice.": _bootstrapped(rows=np.unique),
            "All rows have the score of the original set. Use the pictures with the numbers in the row.":
                _bootstrapped(rows=lambda row: slice(None)),
            "This is one number for all rows. Return one score per row.": _bootstrapped(summary=np.mean),
            "This score is G. Return mIoU, the third score.":
                _bootstrapped(score=lambda matrices: _scores(matrices)[0]),
            "This score is C. Return mIoU, the third score.":
                _bootstrapped(score=lambda matrices: _scores(matrices)[1]),
        },
    ),
    Challenge(
        name="misleading_prediction",
        results=("predictions",),
        reference=_misleading_prediction,
        cases=list,
        measure=_mean_mIoU_of_misleading_predictions,
        unit="mean mIoU of six streets with at least 90 % right pixels",
        goal=0.55,
        lower_is_better=True,
    ),
]  # fmt: skip
