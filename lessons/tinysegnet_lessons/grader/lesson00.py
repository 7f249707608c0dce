"""Exercises of lesson 00: class numbers, colours and pixel accuracy."""

import numpy as np

from .exercise import Exercise, generator


def _colors(labels, colors):
    return colors[labels]


def _labels(picture, colors, ignore_label):
    matches = (picture[:, :, None, :] == colors).all(-1)  # (H, W, classes)
    return np.where(matches.any(-1), matches.argmax(-1), ignore_label)


def _accuracy(logits, labels, ignore_label):
    counted = labels != ignore_label
    return float((logits.argmax(-1) == labels)[counted].mean())


def _color_cases():
    rng = generator(0)
    colors = np.array([[128, 128, 128], [128, 0, 0], [0, 64, 192], [64, 0, 0]], np.uint8)
    return [(np.array([[0, 1, 2], [3, 3, 1]]), colors), (rng.integers(0, 4, (5, 3)).astype(np.uint8), colors)]


def _label_cases():
    (small, colors), (large, _) = _color_cases()
    unknown = colors[large].copy()
    unknown[1, 2], unknown[4, 0] = (128, 0, 1), (0, 0, 0)
    return [(colors[small], colors, 9), (colors[large], colors, 9), (unknown, colors, 9)]


def _nearest(picture, colors, ignore_label):
    return ((picture[:, :, None, :].astype(int) - colors) ** 2).sum(-1).argmin(-1)


def _wrapped_distance(picture, colors, ignore_label):
    distance = (picture[:, :, None, :] - colors).sum(-1, dtype=np.uint8)
    return np.where((distance == 0).any(-1), distance.argmin(-1), ignore_label)


def _accuracy_cases():
    rng = generator(1)
    cases = []
    for H, W, K, void in ((2, 3, 3, False), (4, 5, 3, True), (6, 3, 4, True)):
        logits, labels = rng.standard_normal((H, W, K)), rng.integers(0, K, (H, W))
        labels[0] = logits[0].argmax(-1)  # some predictions are right
        if void:
            labels[rng.random((H, W)) < 0.3] = 11
        cases.append((logits, labels, 11))
    return cases


EXERCISES = [
    Exercise(
        name="labels_to_colors",
        results=("picture",),
        reference=_colors,
        cases=_color_cases,
        mistakes={
            "Rows and columns are exchanged.": lambda labels, colors: colors[labels.T],
            "Red and blue are exchanged; the colours are R, G, B.": lambda labels, colors: colors[labels][..., ::-1],
            "Every pixel has the colour of the next class; class numbers begin at 0.":
                lambda labels, colors: colors[(labels + 1) % len(colors)],
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
            "This is the share of wrong pixels.": lambda logits, labels, ignore: 1 - _accuracy(logits, labels, ignore),
            "The prediction is the class with the smallest logit, not the largest.":
                lambda logits, labels, ignore: _accuracy(-logits, labels, ignore),
        },
    ),
]  # fmt: skip
