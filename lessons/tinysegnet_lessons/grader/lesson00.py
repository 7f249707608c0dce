"""Exercises of lesson 00: class numbers, colours, and which pixels are right."""

import numpy as np

from .exercise import Exercise


def _colors(labels, colors):
    return colors[labels]


def _labels(picture, colors, ignore_label):
    matches = (picture[:, :, None, :] == colors).all(-1)  # (H, W, classes)
    return np.where(matches.any(-1), matches.argmax(-1), ignore_label)


def _accuracy(logits, labels, ignore_label):
    counted = labels != ignore_label
    return float((logits.argmax(-1) == labels)[counted].mean())


def _color_cases():
    rng = np.random.default_rng(0)
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
    rng = np.random.default_rng(1)
    cases = []
    for H, W, K, void in ((2, 3, 3, False), (4, 5, 3, True), (6, 3, 4, True)):
        logits, labels = rng.standard_normal((H, W, K)), rng.integers(0, K, (H, W))
        labels[0] = logits[0].argmax(-1)  # some are right
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
            "rows and columns are exchanged": lambda labels, colors: colors[labels.T],
            "red and blue are exchanged: the colours are R, G, B": lambda labels, colors: colors[labels][..., ::-1],
            "every pixel has the colour of the class after its own: classes count from 0":
                lambda labels, colors: colors[(labels + 1) % len(colors)],
            "these are the class numbers three times, as grey: look the colour up in the table":
                lambda labels, colors: np.repeat(labels[..., None], 3, -1).astype(np.uint8),
        },
    ),
    Exercise(
        name="colors_to_labels",
        results=("labels",),
        reference=_labels,
        cases=_label_cases,
        mistakes={
            "a colour that is not in the table became class 0: argmax of no match at all is 0":
                lambda picture, colors, ignore: (picture[:, :, None, :] == colors).all(-1).argmax(-1),
            "only red is compared: two classes may share it":
                lambda picture, colors, ignore: (picture[:, :, None, 0] == colors[:, 0]).argmax(-1),
            "one equal channel is taken for an equal colour: all(-1), not any(-1)":
                lambda picture, colors, ignore: (picture[:, :, None, :] == colors).any(-1).argmax(-1),
            "an unknown colour became the nearest class; it must become ignore_label": _nearest,
            "rows and columns are exchanged": lambda picture, colors, ignore: _labels(picture, colors, ignore).T,
        },
    ),
    Exercise(
        name="pixel_accuracy",
        results=("accuracy",),
        reference=_accuracy,
        cases=_accuracy_cases,
        mistakes={
            "void pixels are counted as wrong: neither the right pixels nor the divisor has those with ignore_label":
                lambda logits, labels, ignore: float((logits.argmax(-1) == labels).mean()),
            "this is the number of right pixels, not their share":
                lambda logits, labels, ignore: int((logits.argmax(-1) == labels)[labels != ignore].sum()),
            "this is the share of wrong pixels": lambda logits, labels, ignore: 1 - _accuracy(logits, labels, ignore),
            "the smallest logit is taken for the prediction":
                lambda logits, labels, ignore: _accuracy(-logits, labels, ignore),
        },
    ),
]  # fmt: skip
