"""Exercises of lesson 00: class numbers, colours, scores, and the axes, shapes and views of NumPy."""

from functools import cache

import numpy as np

from tinysegnet.data import open_dataset

from .exercise import Challenge, Exercise, Prediction, generator
from .grading import WrongAnswer


def _share(labels, k, ignore_label):
    return float((labels[labels != ignore_label] == k).mean())


def _colors(labels, colors):
    return colors[labels]


def _labels(picture, colors, ignore_label):
    matches = (picture[:, :, None, :] == colors).all(-1)  # (H, W, classes)
    return np.where(matches.any(-1), matches.argmax(-1), ignore_label)


def _accuracy(logits, labels, ignore_label):
    counted = labels != ignore_label
    return float((logits.argmax(-1) == labels)[counted].mean())


def _share_cases():
    rng = generator(2)
    small, large = np.array([[0, 0, 1], [2, 9, 9]]), rng.integers(0, 3, (4, 5))
    large[0, :3] = 0, 7, 7
    return [(small, 0, 9), (small, 2, 9), (large, 0, 7)]


def _color_cases():
    rng = generator(0)
    colors = np.array([[128, 128, 128], [128, 0, 0], [0, 64, 192], [64, 0, 0], [0, 0, 128]], np.uint8)
    return [(np.array([[0, 1, 2], [3, 4, 1]]), colors), (rng.integers(0, 4, (5, 3)).astype(np.uint8), colors)]


def _label_cases():
    (small, colors), (large, _) = _color_cases()
    unknown = colors[large].copy()
    unknown[1, 2], unknown[4, 0] = (128, 0, 1), (0, 0, 0)
    return [(colors[small], colors, 9), (colors[large], colors, 9), (unknown, colors, 9)]


def _nearest(picture, colors, ignore_label):
    return _squared_distances(picture, colors).argmin(-1)


def _sums_compared(picture, colors, ignore_label):
    matches = picture.sum(-1)[..., None] == colors.sum(-1)
    return np.where(matches.any(-1), matches.argmax(-1), ignore_label)


def _accuracy_cases():
    rng = generator(1)
    cases = []
    for H, W, K, void in ((2, 3, 3, None), (4, 5, 3, 11), (6, 3, 4, 255)):
        logits, labels = rng.standard_normal((H, W, K)), rng.integers(0, K, (H, W))
        labels[0] = logits[0].argmax(-1)  # some predictions are right
        if void:
            labels[1:, 0] = void
            labels[rng.random((H, W)) < 0.3] = void
        labels[-1, -1] = (logits[-1, -1].argmax() + 1) % K  # and at least one is wrong
        cases.append((logits, labels, void or 11))
    return cases


# --- the three scores -------------------------------------------------------------------------------------------------


def _quarters(image):
    x, (H, W) = image.astype(float), (n // 2 for n in image.shape[:2])
    return (x[:H, :W] + x[:H, W:] + x[H:, :W] + x[H:, W:]) / 4


def _void_in_the_union(predicted, labels, num_classes, ignore_label):
    G, C, _ = _three_scores(predicted, labels, num_classes, ignore_label)
    pairs = [(labels == k, predicted == k) for k in range(num_classes)]
    return G, C, np.mean([(t & p).sum() / (t | p).sum() for t, p in pairs if (t | p).any()])


def _three_scores(predicted, labels, num_classes, ignore_label):
    predicted, labels = (a[labels != ignore_label] for a in (predicted, labels))
    classes = np.arange(num_classes)[:, None]
    own, others = labels == classes, predicted == classes
    both, one, labelled = (pixels.sum(-1) for pixels in (own & others, own | others, own))
    C, mIoU = ((both / size)[size > 0].mean() for size in (labelled, one))
    return float((predicted == labels).mean()), float(C), float(mIoU)


def _exchanged(predicted, labels, num_classes, ignore_label):
    G, C, mIoU = _three_scores(predicted, labels, num_classes, ignore_label)
    return G, mIoU, C


def _score_cases():
    rng = generator(3)
    labels = np.array([[0, 0, 0, 0], [0, 0, 1, 1], [2, 1, 1, 9]])
    predicted = np.array([[0, 0, 0, 0], [0, 1, 1, 1], [1, 1, 1, 2]])
    cases = [(predicted, labels, 3, 9)]
    for shape, absent in (((5, 6), None), ((6, 4), 2), ((2, 4, 5), 1)):
        truth, guess = rng.integers(0, 4, shape), rng.integers(0, 4, shape)
        guess = np.where(rng.random(shape) < 0.5, truth, guess)
        truth[truth == absent] = 3  # this class is predicted but never labelled
        truth[..., 1:3, 0], guess[..., 0, 1] = 11, 4 if absent else 0
        cases.append((guess, truth, 6 if absent else 4, 11))  # class 5 occurs nowhere
    return cases


def _scores_by(G=None, C=None, IoU=None, void=True):
    """Return three scores with changed averages; accuracy and IoU per class are the arguments."""

    def wrong(predicted, labels, num_classes, ignore_label):
        if void:
            counted = labels != ignore_label
            predicted, labels = predicted[counted], labels[counted]
        accuracies, ratios = [], []
        for k in range(num_classes):
            both, own, others = ((predicted == k) & (labels == k)).sum(), (labels == k).sum(), (predicted == k).sum()
            accuracies.append(both / own if own else np.nan)
            ratios.append((IoU or (lambda n, t, p: n / (t + p - n)))(*map(np.float64, (both, own, others))))
        g = (predicted == labels).mean() if G is None else G(accuracies)
        return g, (C or np.nanmean)(accuracies), (C or np.nanmean)(ratios)

    return wrong


# --- axes, broadcasting, views ----------------------------------------------------------------------------------------


def _statistics(images):
    return images.mean((0, 1, 2)), images.std((0, 1, 2))


def _image_cases(*shapes):
    rng = generator(4)
    return [(rng.integers(0, 256, shape).astype(np.uint8),) for shape in shapes]


def _squared_distances(image, colors):
    return ((image[:, :, None, :].astype(float) - colors) ** 2).sum(-1)


def _distance_cases():
    rng = generator(5)
    (small,), (large,) = _image_cases((2, 3, 3), (4, 3, 3))
    return [(small, rng.uniform(0, 255, (2, 3))), (large, rng.integers(0, 256, (5, 3)).astype(np.uint8))]


def _halved(image):
    H, W, C = image.shape
    return image.reshape(H // 2, 2, W // 2, 2, C).mean((1, 3))


def _bytes_added(image):
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


# --- challenge --------------------------------------------------------------------------------------------------------


@cache
def _scenes(part, count):
    scenes = open_dataset("toy", part)
    samples = [scenes[n] for n in range(count)]
    return np.stack([sample.image for sample in samples]), np.stack([sample.labels for sample in samples])


def _guess(images, labels, new_images):
    """Naive Bayes: the share of the class among pixels of this colour, times its share in this row."""
    known, H = labels != 11, images.shape[1]
    row = np.broadcast_to(np.arange(H)[:, None], labels.shape)
    boxes, rows = np.zeros((512, 11)), np.zeros((H, 11))
    np.add.at(boxes, (_box(images)[known], labels[known]), 1)
    np.add.at(rows, (row[known], labels[known]), 1)
    in_row = np.log((rows + 1) / (rows.sum(0) + 1))[:, None]
    return (np.log(boxes + 1e-3)[_box(new_images)] + in_row).argmax(-1)


def _box(images):
    return (images // 32).astype(int) @ np.array([64, 8, 1])


def _measure_guess(answer):
    (images, labels), (new, truth) = _scenes("train", 16), _scenes("val", 6)
    predicted = np.asarray(answer(images.copy(), labels.copy(), new.copy()))
    if predicted.shape != truth.shape:
        raise WrongAnswer(f"guess_classes: the result has the shape {predicted.shape}, not {truth.shape}")
    if not np.isin(predicted, range(11)).all():
        raise WrongAnswer("guess_classes: the result contains numbers other than the classes 0 to 10")
    return _three_scores(predicted.astype(int), truth, 11, 11)[2]


EXERCISES = [
    Exercise(
        name="class_share",
        tier="warm-up",
        results=("share",),
        reference=_share,
        cases=_share_cases,
        mistakes={
            "Void pixels are counted in the divisor. Divide by the number of labelled pixels.":
                lambda labels, k, ignore: float((labels == k).mean()),
            "This is the number of pixels, not their share.": lambda labels, k, ignore: int((labels == k).sum()),
            "This is a percentage. Return a share from 0 to 1.":
                lambda labels, k, ignore: 100 * _share(labels, k, ignore),
            "This is the share of all other classes.": lambda labels, k, ignore: 1 - _share(labels, k, ignore),
            "This is the share of labelled pixels. How many of them belong to class k?":
                lambda labels, k, ignore: float((labels != ignore).mean()),
        },
    ),
    Exercise(
        name="labels_to_colors",
        results=("picture",),
        dtypes={"picture": "uint8"},
        reference=_colors,
        cases=_color_cases,
        mistakes={
            "Rows and columns are exchanged.": lambda labels, colors: colors[labels.T],
            "Red and blue are exchanged; the colours are R, G, B.": lambda labels, colors: colors[labels][..., ::-1],
            "Every pixel has the colour of the next class; class numbers begin at 0.":
                lambda labels, colors: colors[(labels + 1) % len(colors)],
            "Every pixel has the colour of the class before; class numbers begin at 0.":
                lambda labels, colors: colors[labels.astype(int) - 1],
            "These are the class numbers, repeated three times. Look up the colours in the table.":
                lambda labels, colors: np.repeat(labels[..., None], 3, -1).astype(np.uint8),
        },
    ),
    Exercise(
        name="colors_to_labels",
        results=("labels",),
        reference=_labels,
        cases=_label_cases,
        mistakes={
            "A colour that is not in the table became class 0, because argmax returns 0 if nothing matches.":
                lambda picture, colors, ignore: (picture[:, :, None, :] == colors).all(-1).argmax(-1),
            "Only red is compared, but two classes may have the same red.":
                lambda picture, colors, ignore: (picture[:, :, None, 0] == colors[:, 0]).argmax(-1),
            "One equal channel counts as an equal colour. Use all(-1), not any(-1).":
                lambda picture, colors, ignore: (picture[:, :, None, :] == colors).any(-1).argmax(-1),
            "An unknown colour became the nearest class; it must become ignore_label.": _nearest,
            "Two different colours can have the same sum. Compare all three channels.": _sums_compared,
            "Rows and columns are exchanged.": lambda picture, colors, ignore: _labels(picture, colors, ignore).T,
        },
    ),
    Exercise(
        name="pixel_accuracy",
        results=("accuracy",),
        reference=_accuracy,
        cases=_accuracy_cases,
        mistakes={
            "Void pixels are counted as wrong. They belong neither to the right pixels nor to the divisor.":
                lambda logits, labels, ignore: float((logits.argmax(-1) == labels).mean()),
            "This is the number of right pixels, not their share.":
                lambda logits, labels, ignore: int((logits.argmax(-1) == labels)[labels != ignore].sum()),
            "This is a percentage. Return a share from 0 to 1.":
                lambda logits, labels, ignore: 100 * _accuracy(logits, labels, ignore),
            "This is the share of wrong pixels.": lambda logits, labels, ignore: 1 - _accuracy(logits, labels, ignore),
            "The prediction is the class with the smallest logit, not the largest.":
                lambda logits, labels, ignore: _accuracy(-logits, labels, ignore),
            "Void is 11 here, but it is another number in the next data set. Use ignore_label.":
                lambda logits, labels, ignore: _accuracy(logits, labels, 11),
        },
    ),
    Exercise(
        name="three_scores",
        results=("G", "C", "mIoU"),
        reference=_three_scores,
        cases=_score_cases,
        mistakes={
            "Void pixels are counted. Remove them from the prediction and from the labels first.":
                _scores_by(void=False),
            "The union counts the intersection twice. Count the pixels that are labelled or predicted as k.":
                _scores_by(IoU=lambda n, t, p: n / (t + p)),
            "C and mIoU are exchanged. The order is G, C, mIoU.": _exchanged,
            "This mIoU divides by the labelled pixels only. Divide by the union.":
                _scores_by(IoU=lambda n, t, p: n / t),
            "This G is the mean over the classes, which is C. G is the share of all labelled pixels.":
                _scores_by(G=np.nanmean),
            "A class that does not occur counts as 0. Leave it out of the mean.":
                _scores_by(C=lambda values: np.nan_to_num(values).mean()),
            "A class that does not occur gives 0 / 0. Leave it out of the mean.": _scores_by(C=np.mean),
            "Void pixels that are predicted as k count in the union. Remove void pixels from both arrays first.":
                _void_in_the_union,
            "A class that is predicted but never labelled has IoU 0 and counts towards mIoU.":
                _scores_by(IoU=lambda n, t, p: n / (t + p - n) if t else np.nan),
        },
    ),
    Exercise(
        name="channel_statistics",
        results=("mean", "std"),
        reference=_statistics,
        cases=lambda: _image_cases((2, 2, 3, 3), (3, 4, 2, 3)),
        mistakes={
            "These are the statistics of each picture. Average over the pictures, too: axes 0, 1 and 2.":
                lambda images: (images.mean((1, 2)), images.std((1, 2))),
            "This is one number for all channels. Leave the last axis out of the average.":
                lambda images: (images.mean(), images.std()),
            "Only the first picture counts.": lambda images: _statistics(images[:1]),
            "The second result is the variance. Take its square root.":
                lambda images: (_statistics(images)[0], images.var((0, 1, 2))),
            "The mean of the pictures' standard deviations is not the standard deviation of all pixels.":
                lambda images: (_statistics(images)[0], images.std((1, 2)).mean(0)),
            "The divisor is one too small. Divide by the number of pixels: ddof is 0.":
                lambda images: (_statistics(images)[0], images.std((0, 1, 2), ddof=1)),
        },
    ),
    Exercise(
        name="squared_distances",
        results=("distances",),
        reference=_squared_distances,
        cases=_distance_cases,
        mistakes={
            "These are distances. Leave out the square root.":
                lambda image, colors: np.sqrt(_squared_distances(image, colors)),
            "These are sums of absolute differences. Square the differences.":
                lambda image, colors: np.abs(image[:, :, None].astype(float) - colors).sum(-1),
            "Bytes wrap around at 256. Convert the picture to float before you subtract.":
                lambda image, colors: ((image[:, :, None] - colors) ** 2).sum(-1),
            "This is the mean over the three channels. Sum over them.":
                lambda image, colors: _squared_distances(image, colors) / 3,
            "The classes come first in your result, but they must be its last axis.":
                lambda image, colors: _squared_distances(image, colors).transpose(2, 0, 1),
        },
    ),
    Exercise(
        name="halve",
        results=("half",),
        reference=_halved,
        cases=lambda: _image_cases((2, 2, 3), (4, 6, 3), (6, 4, 1)),
        mistakes={
            "This is the upper left pixel of each block. Average all four pixels.": lambda image: image[::2, ::2],
            "Bytes wrap around at 256. Convert the picture to float before you add.": _bytes_added,
            "These are the four quarters of the picture. Every second row and column is image[::2, ::2].": _quarters,
            "This is the sum of the four pixels. Divide it by 4.": lambda image: 4 * _halved(image),
            "This is the largest pixel of each block. Take the mean.": lambda image: np.maximum(
                np.maximum(image[::2, ::2], image[1::2, ::2]), np.maximum(image[::2, 1::2], image[1::2, 1::2])),
            "Only the rows are halved. Take every second column, too.":
                lambda image: (image[::2] / 2 + image[1::2] / 2),
            "Fractions were lost. Divide by 4 with /, not with //.": lambda image: np.floor(_halved(image)),
        },
    ),
    Challenge(
        name="guess_classes",
        results=("predicted",),
        reference=_guess,
        cases=list,
        measure=_measure_guess,
        unit="mIoU on six new scenes",
        goal=0.2,
    ),
]  # fmt: skip

PREDICTIONS = {
    "label_map_in_a_viewer": Prediction(
        "c", "The largest number is 11 of 255, so the brightest pixel has 4 % of full brightness."
    ),
    "between_building_and_tree": Prediction(3, "The mean of 1 and 5 is 3, and class 3 is Road."),
    "sum_of_two_bytes": Prediction(4, "A byte counts from 0 to 255 and then begins again at 0: 250 + 10 - 256 = 4."),
}
